// espalier.fleet.v1.Fleet: the push to agents and downstream servers, what they report, and what administrators ask of that. Ours; SPIRE's servers do
// not have it.
import type { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Logger } from '../../log.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Handlers } from '../../rpc/service.ts';
import { failedPrecondition, invalidArgument } from '../../rpc/status.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { Holdings } from '../fleet/holdings.ts';
import { parseInstance, parseReport } from '../fleet/parse-report.ts';
import type { ReportBuffer } from '../fleet/report-buffer.ts';
import { isAgent } from '../fleet/standing.ts';
import type { WatchingSvid } from '../fleet/standing.ts';
import type { Watchers } from '../fleet/watchers.ts';
import type { CallerOf } from './caller.ts';
import { requireCallerSvid } from './caller.ts';
import type { RateLimiter } from './rate-limit.ts';
import { attempt, checkArgument } from './refusal.ts';

export interface FleetServiceOptions {
  readonly watchers: Pick<Watchers, 'watch'>;
  readonly reports: Pick<ReportBuffer, 'add'>;
  readonly holdings: Holdings;
  readonly authority: Pick<CertificateAuthority, 'x509' | 'jwt'>;
  readonly log: Logger;
  readonly callerOf: CallerOf;
  readonly limiter: RateLimiter;
  readonly clock: () => number;
}

/** Ours have 33 characters. */
const longestRevision = 64;
/** What a page has that names no size, and at most. */
const pageSize = { usual: 500, largest: 1000 };

export function createFleetService(options: FleetServiceOptions): Handlers<typeof FleetService> {
  const { watchers, reports, holdings, authority, log, callerOf, limiter, clock } = options;
  const svidOf = (context: CallContext): WatchingSvid => requireCallerSvid(callerOf(context));

  return {
    async *watch({ revision }, context) {
      await limiter.admit(context, 1, 'rejecting request due to watch rate limiting');
      if (revision.length > longestRevision)
        throw invalidArgument(`revision has ${revision.length} characters, at most ${longestRevision} are taken`);
      yield* watchers.watch(svidOf(context), revision, context.signal);
    },

    async report(request, context) {
      await limiter.admit(context, 1, 'rejecting request due to report rate limiting');
      const svid = svidOf(context);
      const now = clock();
      const report = checkArgument('invalid report', () => parseReport(request, now));
      const instance = checkArgument('invalid report', () => parseInstance(request.instance));
      const kind = isAgent(svid) ? 'agent' : 'downstream';
      if (kind === 'agent' && instance !== '') throw invalidArgument('invalid report: an agent has no instances');
      if (kind === 'downstream' && instance === '')
        throw invalidArgument('invalid report: it does not say of which instance');
      reports.add({ kind, spiffeId: String(svid.id), instance, reportedAt: now, report });
      return { heartbeatMs: holdings.heartbeatMs };
    },

    async listHoldings({ pageSize: size, pageToken: token, kinds, onlyBehind }) {
      const page = { token, kinds, onlyBehind, size: size <= 0 ? pageSize.usual : Math.min(size, pageSize.largest) };
      return attempt('failed to list holdings', () => holdings.list(page));
    },

    async withdrawAuthority({ authorityId, jwt }) {
      if (authorityId === '') throw invalidArgument('no authority ID provided');
      const control = jwt ? authority.jwt : authority.x509;
      const failed = `failed to withdraw ${jwt ? 'JWT' : 'X.509'} authority`;
      const states = await attempt(failed, () => control.statesWith(authorityId));
      const state = (['active', 'prepared', 'old'] as const).find((one) => states[one]?.authorityId === authorityId);
      if (state === undefined) return {};
      if (state !== 'prepared')
        throw failedPrecondition(
          `authority ${JSON.stringify(authorityId)} is ${state}: only a prepared one can be withdrawn`,
        );
      await attempt(failed, () => control.withdraw(authorityId));
      log.info({ local_authority_id: authorityId }, `${jwt ? 'JWT' : 'X.509'} authority withdrawn successfully`);
      return {};
    },

    async countHoldings({ authorityId }) {
      return attempt('failed to count holdings', () => holdings.count(authorityId));
    },
  };
}

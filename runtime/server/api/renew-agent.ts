// What an attested agent asks for itself: RenewAgent, which gives it its next SVID while the present one still works, and PostStatus.
import type { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../../../proto/gen/spire/api/types/status.ts';
import type { Logger } from '../../log.ts';
import { serialDecimal } from '../../pki/certificate.ts';
import { parseCsr } from '../../pki/csr.ts';
import type { Handlers } from '../../rpc/service.ts';
import { internal, invalidArgument, notFound } from '../../rpc/status.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { AgentStore } from '../store/store.ts';
import type { ReportBuffer } from '../fleet/report-buffer.ts';
import { reportOfSerial } from '../fleet/report-of-serial.ts';
import { refuseAgent } from './agent-authorizer.ts';
import type { CallerOf } from './caller.ts';
import { requireCallerId } from './caller.ts';
import type { RateLimiter } from './rate-limit.ts';
import { attempt, checkArgument } from './refusal.ts';
import { encodeX509Svid } from './wire/svid.ts';

export interface RenewAgentOptions {
  readonly authority: Pick<CertificateAuthority, 'signAgentX509Svid' | 'bundle'>;
  readonly agents: Pick<AgentStore, 'fetchAgent' | 'updateAgent'>;
  readonly reports: Pick<ReportBuffer, 'add'>;
  readonly clock: () => number;
  readonly limiter: RateLimiter;
  readonly callerOf: CallerOf;
  readonly log: Logger;
}

const longestVersion = 255;

export function createRenewAgent(
  options: RenewAgentOptions,
): Pick<Handlers<typeof AgentService>, 'renewAgent' | 'postStatus'> {
  const { authority, agents, reports, clock, limiter, callerOf, log } = options;

  return {
    async renewAgent({ params }, context) {
      await limiter.admit(context, 1, 'rejecting request due to renew agent rate limiting');
      const spiffeId = requireCallerId(callerOf(context));
      const agent = await attempt('failed to fetch agent', () => agents.fetchAgent(String(spiffeId)));
      if (agent === undefined) throw notFound('agent not found');
      if (agent.canReattest) throw refuseAgent(Reason.AGENT_MUST_REATTEST, 'agent must reattest instead of renew');
      if (params === undefined) throw invalidArgument('params cannot be nil');
      if (params.csr.length === 0) throw invalidArgument('missing CSR');
      const { publicKey } = checkArgument('failed to parse CSR', () => parseCsr(params.csr));

      log.info({ agent_id: String(spiffeId) }, 'Renewing agent SVID');
      const svid = await attempt('failed to sign X509 SVID', () =>
        authority.signAgentX509Svid({ publicKey, spiffeId }),
      );
      const [leaf] = svid.chain;
      if (leaf === undefined) throw internal('failed to sign X509 SVID: the chain is empty');
      // The present SVID stays good until the agent shows the new one: an answer that gets lost locks nobody out.
      const next = {
        newX509SvidSerialNumber: serialDecimal(leaf),
        newX509SvidExpiresAt: Math.floor(svid.expiresAt / 1000),
      };
      await attempt('failed to update agent', () => agents.updateAgent(String(spiffeId), next));
      return { svid: encodeX509Svid(spiffeId, svid) };
    },

    async postStatus({ agentVersion, currentBundleSerial }, context) {
      await limiter.admit(context, 1, 'rejecting request due to post status rate limiting');
      const spiffeId = requireCallerId(callerOf(context));
      if (Buffer.byteLength(agentVersion) > longestVersion) {
        throw invalidArgument(`agent version is too long (max ${longestVersion} characters)`);
      }
      if (agentVersion !== '') {
        await attempt('failed to update agent', () => agents.updateAgent(String(spiffeId), { agentVersion }));
      }
      const report = reportOfSerial(agentVersion, currentBundleSerial, authority.bundle());
      if (report !== undefined) {
        reports.add({ kind: 'agent', spiffeId: String(spiffeId), instance: '', reportedAt: clock(), report });
      }
      return {};
    },
  };
}

// espalier.fleet.v1.Fleet: the push to agents and downstream servers. Ours; SPIRE's servers do not have it.
import type { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument } from '../../rpc/status.ts';
import type { WatchingSvid } from '../fleet/standing.ts';
import type { Watchers } from '../fleet/watchers.ts';
import type { CallerOf } from './caller.ts';
import { requireCallerSvid } from './caller.ts';
import type { RateLimiter } from './rate-limit.ts';

export interface FleetServiceOptions {
  readonly watchers: Pick<Watchers, 'watch'>;
  readonly callerOf: CallerOf;
  readonly limiter: RateLimiter;
}

/** Ours have 33 characters. */
const longestRevision = 64;

export function createFleetService({
  watchers,
  callerOf,
  limiter,
}: FleetServiceOptions): Handlers<typeof FleetService> {
  const svidOf = (context: CallContext): WatchingSvid => requireCallerSvid(callerOf(context));

  return {
    async *watch({ revision }, context) {
      await limiter.admit(context, 1, 'rejecting request due to watch rate limiting');
      if (revision.length > longestRevision)
        throw invalidArgument(`revision has ${revision.length} characters, at most ${longestRevision} are taken`);
      yield* watchers.watch(svidOf(context), revision, context.signal);
    },
  };
}

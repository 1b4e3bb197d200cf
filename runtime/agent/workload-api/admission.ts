// What every call of a workload goes through first, whichever API it calls: who it is, how often it may call, and whether anything is there for it.
import type { Logger } from '../../log.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import { permissionDenied } from '../../rpc/status.ts';
import type { RpcError } from '../../rpc/status.ts';
import { formatSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { WorkloadCache } from '../cache/svid-cache.ts';
import type { EntryDemand } from '../sync/demand.ts';
import type { Callers } from './caller.ts';
import type { RateLimiter } from './rate-limit.ts';

export interface AdmissionOptions {
  readonly callers: Callers;
  readonly rateLimiter: RateLimiter;
  readonly cache: Pick<WorkloadCache, 'matching'>;
  readonly demand: EntryDemand;
  /** Prefixes of selectors that may be logged where a workload gets nothing; what a process is may be nobody's business. */
  readonly logSelectors: readonly string[];
  readonly log: Logger;
}

export interface Admission {
  /** The caller's selectors. Throws UNAVAILABLE where the process cannot be attested or calls too often. */
  admit(context: CallContext): Promise<Selector[]>;
  /** The same; but a caller whom no entry matches waits until the server was asked once more. */
  admitKnown(context: CallContext): Promise<Selector[]>;
  /** PERMISSION_DENIED, with a line in the log. */
  noIdentity(context: CallContext, selectors: readonly Selector[]): RpcError;
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { callers, rateLimiter, cache, demand, logSelectors, log } = options;

  const admit = async (context: CallContext): Promise<Selector[]> => {
    const selectors = await callers.attest(context);
    rateLimiter.check(context, selectors);
    return selectors;
  };

  return {
    admit,
    async admitKnown(context) {
      const selectors = await admit(context);
      if (cache.matching(selectors).length === 0) await demand.newerEntries(context.signal);
      return selectors;
    },
    noIdentity(context, selectors) {
      const shown = loggable(selectors, logSelectors);
      const about = { registered: false, method: context.method, pid: pidOf(context) };
      log.error(shown === '' ? about : { ...about, selectors: shown }, 'No identity issued');
      return permissionDenied('no identity issued');
    },
  };
}

export function pidOf({ connection }: CallContext): number | undefined {
  return connection.transport === 'unix' ? connection.pid : undefined;
}

/** Those that are a prefix or begin with one and a colon: `unix:uid` lets `unix:uid:1000` through, and not `unix:uidx:1`. */
function loggable(selectors: readonly Selector[], prefixes: readonly string[]): string {
  return selectors
    .map(formatSelector)
    .filter((selector) => prefixes.some((prefix) => selector === prefix || selector.startsWith(`${prefix}:`)))
    .sort()
    .join(',');
}

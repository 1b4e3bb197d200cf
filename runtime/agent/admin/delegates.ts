// Who may ask for others' identities: a workload of this machine with an identity that the configuration lists.
import type { Logger } from '../../log.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import { permissionDenied } from '../../rpc/status.ts';
import { formatSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { WorkloadCache } from '../cache/svid-cache.ts';
import type { EntryDemand } from '../sync/demand.ts';
import { pidOf } from '../workload-api/admission.ts';
import type { Callers } from '../workload-api/caller.ts';

export interface DelegatesOptions {
  /** SPIFFE IDs. */
  readonly authorized: ReadonlySet<string>;
  readonly callers: Callers;
  readonly cache: Pick<WorkloadCache, 'matching'>;
  readonly demand: EntryDemand;
  readonly log: Logger;
}

export interface Delegates {
  /** Throws unless the caller is a delegate. The function that it returns throws once the caller is none any more. */
  admit(context: CallContext): Promise<() => void>;
}

export function createDelegates({ authorized, callers, cache, demand, log }: DelegatesOptions): Delegates {
  const check = (context: CallContext, selectors: readonly Selector[]): void => {
    const ids = cache.matching(selectors).map(({ spiffeId }) => spiffeId.toString());
    const about = { pid: pidOf(context), delegate_selectors: selectors.map(formatSelector).join(',') };
    const [defaultId] = ids;
    if (defaultId === undefined) {
      log.error(about, 'No identity issued');
      throw permissionDenied('no identity issued');
    }
    const delegateId = ids.find((id) => authorized.has(id));
    if (delegateId === undefined) {
      const entries = { num_registered_entries: ids.length, default_id: defaultId };
      log.error({ ...about, ...entries }, 'Permission denied; caller not configured as an authorized delegate.');
      throw permissionDenied('caller not configured as an authorized delegate');
    }
    log.debug({ ...about, delegate_id: delegateId }, 'Caller authorized as delegate');
  };

  return {
    async admit(context) {
      const selectors = await callers.attest(context);
      if (cache.matching(selectors).length === 0) await demand.newerEntries(context.signal);
      check(context, selectors);
      return () => {
        check(context, selectors);
      };
    },
  };
}

// Agents' records as they were a moment ago, for who asks for them with every call. A change that this server hears of ends a record's time at once;
// the time given bounds how long one is believed when a notification is lost.
import type { AgentRecord, StoreChange } from './records.ts';
import type { AgentStore, Store } from './store.ts';

type Agents = Pick<AgentStore, 'fetchAgent' | 'promoteAgentSvid'>;

export interface RecentAgents extends Agents {
  close(): void;
}

export interface RecentAgentsOptions {
  readonly store: Agents & Pick<Store, 'watch'>;
  readonly stalenessMs: number;
  readonly clock: () => number;
}

interface Seen {
  readonly agent: AgentRecord;
  readonly at: number;
}

/** More agents than this are forgotten all at once: that costs one question each. */
const maxSeen = 100_000;

export function followRecentAgents({ store, stalenessMs, clock }: RecentAgentsOptions): RecentAgents {
  const seen = new Map<string, Seen>();
  /** Grows with every change: a record that was being read meanwhile is not kept. */
  let changes = 0;
  const stop = store.watch((change: StoreChange) => {
    if (change.kind !== 'agent' && change.kind !== 'reset') return;
    changes += 1;
    if (change.kind === 'agent') seen.delete(change.id);
    else seen.clear();
  });

  const remember = async (spiffeId: string, read: () => Promise<AgentRecord | undefined>) => {
    const [at, before] = [clock(), changes];
    const agent = await read();
    if (agent === undefined || changes !== before) return agent;
    if (seen.size >= maxSeen) seen.clear();
    seen.set(spiffeId, { agent, at });
    return agent;
  };

  return {
    async fetchAgent(spiffeId) {
      const found = seen.get(spiffeId);
      if (found !== undefined && clock() - found.at < stalenessMs) return found.agent;
      seen.delete(spiffeId);
      return remember(spiffeId, () => store.fetchAgent(spiffeId));
    },
    promoteAgentSvid(spiffeId, newSerial) {
      seen.delete(spiffeId);
      return remember(spiffeId, () => store.promoteAgentSvid(spiffeId, newSerial));
    },
    close: () => stop(),
  };
}

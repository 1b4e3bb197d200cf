// Which entries an agent may serve, answered from memory. It follows the store's changes, by whichever server, within milliseconds.
import type { Logger } from '../../log.ts';
import { createCallCounter } from '../../telemetry/call-counter.ts';
import { createIdleMetrics } from '../../telemetry/registry.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import { EntryIndex, isExpired } from './entry-index.ts';
import { createSharing } from './entry-sharing.ts';
import type { AgentRecord, EntryRecord, StoreChange } from './records.ts';
import type { Store } from './store.ts';

/** What was read anew. `all`: everything, and nothing is named. */
export interface CacheChange {
  readonly all: boolean;
  /** Each as it was and as it is now, where it was or is. */
  readonly entries: readonly EntryRecord[];
  readonly agents: ReadonlySet<string>;
}

export interface AuthorizedEntries {
  /** In order of id, without expired ones. The array is shared: do not change it. */
  authorizedEntries(agentId: string): readonly EntryRecord[];
  /** The entry, if this agent may serve it. */
  authorizedEntry(agentId: string, entryId: string): EntryRecord | undefined;
  /** Has any entry for this SPIFFE ID the admin flag? */
  isAdmin(spiffeId: string): boolean;
  isDownstream(spiffeId: string): boolean;
  /** Whose SPIFFE ID is this one, expired ones among them. */
  entriesFor(spiffeId: string): Iterable<EntryRecord>;
  agent(spiffeId: string): AgentRecord | undefined;
  /** Called after entries or agents changed. Returns the way to stop. */
  onChange(listener: (change: CacheChange) => void): () => void;
  close(): void;
}

export interface AuthorizedEntriesOptions {
  readonly store: Pick<Store, 'allEntries' | 'allAgents' | 'fetchEntries' | 'fetchAgents' | 'watch'>;
  readonly log: Logger;
  readonly clock: () => number;
  readonly metrics?: Metrics;
}

const retryMs = 1_000;
const sliceSize = 1_000;

/** Resolves once everything is loaded. */
export async function openAuthorizedEntries(options: AuthorizedEntriesOptions): Promise<AuthorizedEntries> {
  const { store, log, clock, metrics = createIdleMetrics() } = options;
  const reloading = createCallCounter(metrics, ['entry', 'cache', 'reload']);
  const index = new EntryIndex();
  const listeners = new Set<(change: CacheChange) => void>();
  const nowSeconds = (): number => Math.floor(clock() / 1000);
  let pending = noChanges();
  // From the first look at the store on: a change that is told meanwhile is read after it, never overwritten by it.
  let running = true;
  let retry: NodeJS.Timeout | undefined;
  let isClosed = false;

  const update = async (): Promise<void> => {
    const taken = pending;
    pending = noChanges();
    let changed: readonly EntryRecord[] = [];
    try {
      changed = await reloading.measure(async () => {
        if (!taken.all) return loadSome(store, index, taken);
        await loadAll(store, index);
        return [];
      });
    } catch (error) {
      // Taken up again: nothing of it is lost.
      pending = {
        all: pending.all || taken.all,
        entries: union(pending.entries, taken.entries),
        agents: union(pending.agents, taken.agents),
      };
      throw error;
    }
    for (const listener of listeners) listener({ all: taken.all, entries: changed, agents: taken.agents });
  };

  const updateSoon = (): void => {
    if (running) return;
    running = true;
    void (async () => {
      // Changes that came in one burst are read at once.
      await Promise.resolve();
      try {
        while (hasChanges(pending)) await update();
      } catch (error) {
        if (isClosed) return; // the store is closed as well, and nobody asks any more
        log.warn({ err: error }, 'cannot follow entries and agents, trying again');
        retry = setTimeout(updateSoon, retryMs);
      } finally {
        // In the same turn as the last look: a change that comes now starts anew.
        running = false;
      }
    })();
  };

  const unwatch = store.watch((change: StoreChange) => {
    if (change.kind === 'bundle' || change.kind === 'federation_relationship') return;
    if (change.kind === 'reset') pending.all = true;
    if (change.kind === 'entry') pending.entries.add(change.id);
    if (change.kind === 'agent') pending.agents.add(change.id);
    updateSoon();
  });
  try {
    await reloading.measure(() => loadAll(store, index));
  } catch (error) {
    unwatch();
    throw error;
  }
  running = false;
  updateSoon();

  const anyEntry = (spiffeId: string, holds: (entry: EntryRecord) => boolean): boolean => {
    for (const entry of index.entriesFor(spiffeId)) if (holds(entry) && !isExpired(entry, nowSeconds())) return true;
    return false;
  };
  return {
    authorizedEntries: (agentId) => index.authorized(agentId, nowSeconds()).list,
    authorizedEntry: (agentId, entryId) => index.authorized(agentId, nowSeconds()).byId.get(entryId),
    isAdmin: (spiffeId) => anyEntry(spiffeId, ({ admin }) => admin),
    isDownstream: (spiffeId) => anyEntry(spiffeId, ({ downstream }) => downstream),
    entriesFor: (spiffeId) => index.entriesFor(spiffeId),
    agent: (spiffeId) => index.agent(spiffeId),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      isClosed = true;
      unwatch();
      clearTimeout(retry);
      pending = noChanges();
    },
  };
}

interface Changes {
  all: boolean;
  entries: Set<string>;
  agents: Set<string>;
}

function noChanges(): Changes {
  return { all: false, entries: new Set(), agents: new Set() };
}

function hasChanges({ all, entries, agents }: Changes): boolean {
  return all || entries.size > 0 || agents.size > 0;
}

function union(a: ReadonlySet<string>, b: ReadonlySet<string>): Set<string> {
  return new Set([...a, ...b]);
}

async function loadAll(store: AuthorizedEntriesOptions['store'], index: EntryIndex): Promise<void> {
  const gone = { entries: new Set(index.entryIds()), agents: new Set(index.agentIds()) };
  for await (const entries of store.allEntries()) {
    const share = createSharing();
    for (const entry of entries) {
      gone.entries.delete(entry.id);
      index.setEntry(share(entry));
    }
  }
  for await (const agents of store.allAgents()) {
    for (const agent of agents) {
      gone.agents.delete(agent.spiffeId);
      index.setAgent(agent);
    }
  }
  for (const id of gone.entries) index.removeEntry(id);
  for (const id of gone.agents) index.removeAgent(id);
}

/** The entries that changed, as they were and as they are. Those that are named and not found are gone. */
async function loadSome(
  store: AuthorizedEntriesOptions['store'],
  index: EntryIndex,
  { entries, agents }: Changes,
): Promise<EntryRecord[]> {
  const changed: EntryRecord[] = [];
  for (const ids of slicesOf(entries)) {
    const gone = new Set(ids);
    for (const id of ids) changed.push(...present(index.entry(id)));
    const share = createSharing();
    for (const entry of await store.fetchEntries(ids)) {
      const shared = share(entry);
      changed.push(shared);
      gone.delete(entry.id);
      index.setEntry(shared);
    }
    for (const id of gone) index.removeEntry(id);
  }
  for (const ids of slicesOf(agents)) {
    const gone = new Set(ids);
    for (const agent of await store.fetchAgents(ids)) {
      gone.delete(agent.spiffeId);
      index.setAgent(agent);
    }
    for (const id of gone) index.removeAgent(id);
  }
  return changed;
}

function present<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}

/** A change of everything is read in turns, not in one. */
function slicesOf(ids: ReadonlySet<string>): string[][] {
  const all = [...ids];
  return Array.from({ length: Math.ceil(all.length / sliceSize) }, (_, index) =>
    all.slice(index * sliceSize, (index + 1) * sliceSize),
  );
}

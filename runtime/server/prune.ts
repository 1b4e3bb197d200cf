// Sweeps up what has expired: entries, join tokens and, where the configuration says so, agents. Of several servers on one database one does it.
import type { Logger } from '../log.ts';
import { createCallCounter } from '../telemetry/call-counter.ts';
import type { Metrics } from '../telemetry/registry.ts';
import type { ServerConfig } from './config/server-config.ts';
import type { Store } from './store/store.ts';

export interface PruningOptions {
  readonly store: Store;
  readonly pruneAgents: ServerConfig['pruneAgents'];
  readonly clock: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly intervalMs?: number;
}

/** Reports and the lives of authorities stay for who asks later what happened. */
const fleetMemoryMs = 30 * 24 * 3_600_000;
const defaultIntervalMs = 5 * 60_000;

/** Returns the way to stop. */
export function startPruning({
  store,
  pruneAgents,
  clock,
  log,
  metrics,
  intervalMs = defaultIntervalMs,
}: PruningOptions): () => void {
  const pruningEntries = createCallCounter(metrics, ['registration_entry', 'manager', 'prune']);
  const pruningAgents = createCallCounter(metrics, ['node', 'manager', 'prune']);
  const prune = async (): Promise<void> => {
    // Of all servers on this database one does it. Timers are not exact: whose turn it is again is not late by a millisecond.
    if (!(await store.claimTask('entries-tokens-agents', clock(), intervalMs * 0.9))) return;
    const now = Math.floor(clock() / 1000);
    const entries = await pruningEntries.measure(() => store.pruneEntries(now));
    const tokens = await store.pruneJoinTokens(now);
    await store.pruneFleet(clock() - fleetMemoryMs);
    const agents =
      pruneAgents === undefined ? [] : await pruningAgents.measure(() => pruneExpiredAgents(store, pruneAgents, now));
    for (const id of entries) log.info({ entry_id: id }, 'Pruned an expired registration');
    for (const id of agents) log.info({ agent_id: id }, 'Pruned an expired agent');
    if (tokens > 0) log.debug({ count: tokens }, 'Pruned expired join tokens');
  };
  const timer = setInterval(() => {
    prune().catch((error: unknown) => log.warn({ err: error }, 'Pruning failed; it is tried again'));
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

function pruneExpiredAgents(
  store: Store,
  { expiredForMs, includeNonReattestable, batchSize: limit }: NonNullable<ServerConfig['pruneAgents']>,
  now: number,
) {
  return store.pruneAgents(now - Math.floor(expiredForMs / 1000), { includeNonReattestable, limit });
}

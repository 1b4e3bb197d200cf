// Entries of one workload: read, taken away on purpose, and put back exactly as they were, ids and all.
import { HolderKind } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import { ListEntriesRequest_Filter } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../proto/gen/spire/api/types/entry.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { deleteEntries, wireId } from '../control/entries.ts';
import { failure } from '../failures.ts';
import { listHoldings } from '../trust/judge-claim.ts';
import type { KeptEntry } from './drill.ts';

const [ok, alreadyExists] = [0, 6];
/** Longer than the slowest heartbeat: a report that fails comes again, and one comes where nothing changes. */
const patienceMs = 75_000;
const askEveryMs = 200;

export interface Time {
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
}

/** Throws InvalidRequest where there is none. */
export async function readWorkloadEntries({ entry }: SpireServer, spiffeId: string): Promise<KeptEntry[]> {
  const filter = ListEntriesRequest_Filter.create({ bySpiffeId: wireId(spiffeId) });
  const { entries } = await entry.listEntries({ filter, outputMask: undefined, pageSize: 0, pageToken: '' });
  if (entries.length === 0) throw failure('InvalidRequest', `there is no entry of ${spiffeId}`);
  return entries.map((one) => ({
    id: one.id,
    spiffeId,
    entry: Buffer.from(Entry.encode(one).finish()).toString('base64'),
  }));
}

/** Content with those that are there. */
export async function ensureWorkloadEntries({ entry }: SpireServer, kept: readonly KeptEntry[]): Promise<void> {
  const entries = kept.map((one) => Entry.decode(Buffer.from(one.entry, 'base64')));
  const { results } = await entry.batchCreateEntry({ entries, outputMask: undefined });
  for (const [index, { status }] of results.entries()) {
    const { code = ok, message = '' } = status ?? {};
    if (code !== ok && code !== alreadyExists)
      throw failure('Unavailable', `entry ${kept[index]?.id ?? ''} of ${kept[index]?.spiffeId ?? ''}: ${message}`);
  }
}

export interface Deletion {
  readonly entries: readonly KeptEntry[];
  readonly agentId: string;
  /** How many SVIDs the agent served before. */
  readonly served: number;
  /** How long it may go on. */
  readonly withinMs: number;
}

/** What the agent told of itself is what is believed. Returns after how long it did; undefined where it went on, or said nothing. */
export async function removeWorkloadEntries(
  server: Pick<SpireServer, 'entry' | 'fleet'>,
  { entries, agentId, served, withinMs }: Deletion,
  { clock, sleep }: Time,
): Promise<number | undefined> {
  // The server's clock, which reports are dated by; before the deletion, which on a busy machine takes its time.
  const { nowMs: since } = await server.fleet.countHoldings({ authorityId: '' });
  await deleteEntries(
    server,
    entries.map(({ id }) => id),
  );
  const until = clock() + withinMs + patienceMs;
  while (clock() < until) {
    const report = await reportOf(server, agentId);
    // What was on its way while the entries were deleted says nothing of it.
    if (report !== undefined && report.saidAt > since) {
      if (report.serves < served) return report.saidAt - since;
      if (report.saidAt > since + withinMs) return undefined;
    }
    await sleep(askEveryMs);
  }
  return undefined;
}

interface Said {
  /** By the server's clock. */
  readonly saidAt: number;
  readonly serves: number;
}

async function reportOf(server: Pick<SpireServer, 'fleet'>, agentId: string): Promise<Said | undefined> {
  for await (const { id, issued, reportedAtMs, clockSkewMs } of listHoldings(server, { kinds: [HolderKind.AGENT] })) {
    // The skew has the way in it: a report speaks of when it was sent, not of when it came.
    if (id === agentId)
      return {
        saidAt: reportedAtMs + Math.min(0, clockSkewMs),
        serves: issued.reduce((sum, { count }) => sum + count, 0),
      };
  }
  return undefined;
}

// How long an agent goes on with what was deleted, by its own reports: what each of them says, and what it says nothing of.
import { beforeEach, describe, expect, it } from 'vitest';
import { removeWorkloadEntries } from '../../../activities/drills/kept-entries.ts';
import { Holding } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';

type Server = Parameters<typeof removeWorkloadEntries>[0];

const agentId = 'spiffe://example.org/spire/agent/aws/node-0';
const deletion = { entries: [{ id: 'one', spiffeId: '', entry: '' }], agentId, served: 2, withinMs: 10_000 };

/** The server's clock is an hour ahead of ours. */
const serverAheadMs = 3_600_000;
let now: number;
let deleted: string[];

beforeEach(() => {
  now = 1_000_000_000;
  deleted = [];
});

interface Report {
  /** When it came, after the deletion. */
  readonly atMs: number;
  readonly serves: number;
  /** How long it was on its way. */
  readonly wayMs?: number;
}

/** The entries are gone at once, and the agent reports as said. */
function serverOf(reports: readonly Report[]): Server {
  const began = now;
  const latest = () => reports.filter(({ atMs }) => began + atMs <= now).at(-1);
  return {
    fleet: {
      countHoldings: async () => ({ nowMs: now + serverAheadMs }),
      listHoldings: async () => {
        const report = latest();
        if (report === undefined) return { holdings: [], nextPageToken: '' };
        const { atMs, serves, wayMs = 0 } = report;
        const issued = [{ count: serves, x509AuthorityIds: [], earliestNotAfter: 0, latestNotAfter: 0 }];
        const said = { id: agentId, reportedAtMs: began + atMs + serverAheadMs, clockSkewMs: -wayMs, issued };
        return { holdings: [Holding.create(said)], nextPageToken: '' };
      },
    },
    entry: {
      batchDeleteEntry: async ({ ids }: { readonly ids: readonly string[] }) => {
        deleted.push(...ids);
        return { results: [] };
      },
    },
  } as unknown as Server;
}

const time = { clock: () => now, sleep: async (ms: number) => (now += ms) };

describe('removeWorkloadEntries', () => {
  it.each<[string, readonly Report[], number | undefined]>([
    [
      'the first report with fewer, by when it was sent',
      [
        { atMs: -50, serves: 2 },
        { atMs: 900, serves: 1 },
      ],
      900,
    ],
    ['a report that is asked for late', [{ atMs: 150, serves: 1 }], 150],
    [
      'nothing of a report from before, whatever it has',
      [
        { atMs: -1, serves: 0 },
        { atMs: 400, serves: 1 },
      ],
      400,
    ],
    [
      'nothing of one that was on its way',
      [
        { atMs: 20, serves: 0, wayMs: 30 },
        { atMs: 700, serves: 1 },
      ],
      700,
    ],
    [
      'nothing of one that still has it in time',
      [
        { atMs: 9_900, serves: 2 },
        { atMs: 11_000, serves: 1 },
      ],
      11_000,
    ],
    ['nothing of one that came late and was sent in time', [{ atMs: 12_000, serves: 2, wayMs: 4_000 }, { atMs: 14_000, serves: 1 }], 14_000], // prettier-ignore
    ['that it goes on, of a later one that still has it', [{ atMs: 10_001, serves: 2 }, { atMs: 11_000, serves: 1 }], undefined], // prettier-ignore
    ['that it goes on, where it says nothing any more', [{ atMs: -50, serves: 2 }], undefined],
    ['that it goes on, where it never said anything', [], undefined],
  ])('learns %s', async (_what, reports, expected) => {
    expect(await removeWorkloadEntries(serverOf(reports), deletion, time)).toBe(expected);
    expect(deleted).toEqual(['one']);
  });

  it('ends soon where the agent goes on, and waits for a heartbeat where it says nothing', async () => {
    const began = now;
    await removeWorkloadEntries(serverOf([{ atMs: 10_001, serves: 2 }]), deletion, time);
    expect(now - began).toBeLessThan(11_000);
    const silentSince = now;
    await removeWorkloadEntries(serverOf([]), deletion, time);
    expect(now - silentSince).toBeGreaterThanOrEqual(deletion.withinMs + 60_000);
  });
});

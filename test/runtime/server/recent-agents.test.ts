// Agents' records that are believed for a while: how long, and what ends it.
import { expect, test } from 'vitest';
import type { AgentRecord, StoreChange } from '../../../runtime/server/store/records.ts';
import { followRecentAgents } from '../../../runtime/server/store/recent-agents.ts';

const id = 'spiffe://example.org/spire/agent/x509pop/a';

function stage() {
  let now = 1_000;
  let reads = 0;
  let duringRead = (): void => undefined;
  let record: AgentRecord | undefined = { spiffeId: id, banned: false } as AgentRecord;
  const listeners = new Set<(change: StoreChange) => void>();
  const agents = followRecentAgents({
    stalenessMs: 5_000,
    clock: () => now,
    store: {
      fetchAgent: () => {
        reads += 1;
        const found = record;
        duringRead();
        return Promise.resolve(found);
      },
      promoteAgentSvid: (_id, serial) => Promise.resolve(record && { ...record, x509SvidSerialNumber: serial }),
      watch: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
  });
  return {
    agents,
    reads: () => reads,
    listeners,
    wait: (ms: number) => (now += ms),
    change: (next: AgentRecord | undefined) => (record = next),
    tell: (change: StoreChange) => listeners.forEach((listener) => listener(change)),
    whileReading: (act: () => void) => (duringRead = act),
  };
}

test('a record is believed for the time given, and no longer', async () => {
  const { agents, reads, wait } = stage();
  await agents.fetchAgent(id);
  wait(4_999);
  await agents.fetchAgent(id);
  expect(reads()).toBe(1);
  wait(1);
  await agents.fetchAgent(id);
  expect(reads()).toBe(2);
});

test('an agent that nobody knows is asked for each time', async () => {
  const { agents, reads, change } = stage();
  change(undefined);
  await agents.fetchAgent(id);
  await agents.fetchAgent(id);
  expect(reads()).toBe(2);
});

test.each<[StoreChange, number]>([
  [{ kind: 'agent', id, revision: 1 }, 2],
  [{ kind: 'reset' }, 2],
  [{ kind: 'agent', id: `${id}b`, revision: 1 }, 1],
  [{ kind: 'entry', id, revision: 1 }, 1],
])('after the change %j it is read %i times', async (change, times) => {
  const { agents, reads, tell } = stage();
  await agents.fetchAgent(id);
  tell(change);
  await agents.fetchAgent(id);
  expect(reads()).toBe(times);
});

test('a record that changes while it is read is not kept', async () => {
  const { agents, whileReading, tell, change } = stage();
  whileReading(() => {
    change({ spiffeId: id, banned: true } as AgentRecord);
    tell({ kind: 'agent', id, revision: 1 });
  });
  expect(await agents.fetchAgent(id)).toMatchObject({ banned: false });
  expect(await agents.fetchAgent(id)).toMatchObject({ banned: true });
});

test('a promoted SVID is what is known from then on', async () => {
  const { agents, reads } = stage();
  await agents.fetchAgent(id);
  await agents.promoteAgentSvid(id, '42');
  expect(await agents.fetchAgent(id)).toMatchObject({ x509SvidSerialNumber: '42' });
  expect(reads()).toBe(1);
});

test('closed, it listens no more', () => {
  const { agents, listeners } = stage();
  agents.close();
  expect(listeners.size).toBe(0);
});

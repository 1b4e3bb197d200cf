import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ReplicaReport, StoreChange } from '../../../../runtime/server/store/records.ts';
import { replicaLifeSeconds } from '../../../../runtime/server/store/store.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

let db: TestStore;
beforeEach(async () => {
  db = await createTestStore();
});
afterEach(() => db.drop());

const held = (authorityId: string) => ({ authorityId, issuedAt: 1_000, expiresAt: 2_000 });
const report = (id: string, more: Partial<ReplicaReport> = {}): ReplicaReport => ({
  id,
  version: '1',
  appliedSequence: 1,
  authorities: { x509: { active: held(`x-${id}`) }, jwt: { active: held(`j-${id}`) } },
  ...more,
});
/** The database's own clock is not ours to move: the heartbeats are. */
const setBack = async (id: string, seconds: number): Promise<void> => {
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  await client.query(`UPDATE server_replicas SET heartbeat_at = now() - make_interval(secs => $2) WHERE id = $1`, [
    id,
    seconds,
  ]);
  await client.end();
};
const listed = async () => (await db.store.listReplicas()).map(({ id, isLive }) => [id, isLive]);

describe('a replica', () => {
  test('comes back as it reported itself, with the database’s times', async () => {
    await db.store.reportReplica(report('a'));
    const now = expect.closeTo(Date.now() / 1000, -2) as number;
    expect(await db.store.listReplicas()).toEqual([
      { ...report('a'), startedAt: now, heartbeatAt: now, appliedAt: now, isLive: true },
    ]);
  });

  test('keeps the time at which it applied its sequence number, and gets a new one with the next', async () => {
    await db.store.reportReplica(report('a'));
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    await client.query(`UPDATE server_replicas SET applied_at = applied_at - interval '1 hour'`);
    await client.end();
    const [before] = await db.store.listReplicas();
    await db.store.reportReplica(report('a'));
    expect((await db.store.listReplicas())[0]?.appliedAt).toBe(before!.appliedAt);
    await db.store.reportReplica(report('a', { appliedSequence: 2 }));
    const [after] = await db.store.listReplicas();
    expect([after?.appliedSequence, after!.appliedAt - before!.appliedAt > 3_000]).toEqual([2, true]);
  });

  test(`counts as gone ${replicaLifeSeconds} s after its last heartbeat, and as live again with the next`, async () => {
    await db.store.reportReplica(report('a'));
    await setBack('a', replicaLifeSeconds - 5); // a busy machine takes its time until it is looked at
    expect(await listed()).toEqual([['a', true]]);
    await setBack('a', replicaLifeSeconds + 1);
    expect(await listed()).toEqual([['a', false]]);
    await db.store.reportReplica(report('a'));
    expect(await listed()).toEqual([['a', true]]);
  });

  test('takes leave', async () => {
    await db.store.reportReplica(report('a'));
    await db.store.reportReplica(report('b'));
    await db.store.withdrawReplica('a');
    expect(await listed()).toEqual([['b', true]]);
  });

  test('is forgotten when it has been dead for a day, not before', async () => {
    await db.store.reportReplica(report('a'));
    await db.store.reportReplica(report('b'));
    await setBack('a', 86_401);
    await setBack('b', 86_300);
    expect([await db.store.pruneReplicas(), await listed()]).toEqual([1, [['b', false]]]);
  });

  test('takes the place of an earlier run with the same authorities, and of no other', async () => {
    await db.store.reportReplica(report('earlier'));
    await db.store.reportReplica(report('beside'));
    await db.store.reportReplica(report('later', { authorities: report('earlier').authorities }));
    expect((await listed()).map(([id]) => id)).toEqual(['beside', 'later']);
  });

  test('without authorities yet takes the place of none', async () => {
    await db.store.reportReplica(report('a', { authorities: { x509: {}, jwt: {} } }));
    await db.store.reportReplica(report('b', { authorities: { x509: {}, jwt: {} } }));
    expect(await listed()).toHaveLength(2);
  });
});

test('what others are told: who comes, goes, applies or moves an authority, and no heartbeats', async () => {
  const other = await db.openAnother();
  const changes: StoreChange[] = [];
  other.watch((change) => changes.push(change));
  await db.store.reportReplica(report('a'));
  for (let beat = 0; beat < 3; beat += 1) await db.store.reportReplica(report('a'));
  await db.store.reportReplica(report('a', { appliedSequence: 2 }));
  await db.store.reportReplica(report('a', { appliedSequence: 2, authorities: { x509: {}, jwt: {} } }));
  await db.store.withdrawReplica('a');
  await db.store.reportReplica(report('z'));
  const told = () => changes.map((change) => [change.kind, 'id' in change ? change.id : '']);
  await eventually(() => expect(told()).toContainEqual(['replica', 'z']));
  expect(told()).toEqual([...Array.from({ length: 4 }, () => ['replica', 'a']), ['replica', 'z']]);
});

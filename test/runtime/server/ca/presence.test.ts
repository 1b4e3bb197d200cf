import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPresence } from '../../../../runtime/server/ca/presence.ts';
import type { Presence } from '../../../../runtime/server/ca/presence.ts';
import { createTestAuthority } from '../../../support/authorities.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

let db: TestStore;
const opened: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  db = await createTestStore();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  await db.drop();
});

/** A server that has applied what the test says. */
const present = async (appliedSequence: number, patienceMs = 10_000) => {
  const id = randomUUID();
  const state = { appliedSequence, authorities: { x509: {}, jwt: {} } };
  const presence: Presence = createPresence({
    store: await db.openAnother(),
    log: silentLog,
    id,
    version: '1',
    state: () => state,
    patienceMs,
  });
  opened.push(presence);
  await presence.report();
  return Object.assign(presence, {
    id,
    async applies(sequenceNumber: number) {
      state.appliedSequence = sequenceNumber;
      await presence.report();
    },
  });
};

describe('a wait for the others', () => {
  test('ends once every live server has applied the bundle, and not before', async () => {
    const [one, other, third] = [await present(5), await present(4), await present(4)];
    let isOver = false;
    const waiting = one.untilApplied(5).then(() => (isOver = true));
    await other.applies(5);
    await db.store.listReplicas();
    expect(isOver).toBe(false);
    await third.applies(6);
    await waiting;
  });

  test('names who has not applied it when patience ends', async () => {
    const [one, other] = [await present(5, 50), await present(4)];
    await expect(one.untilApplied(5)).rejects.toMatchObject({
      code: 'REPLICAS_BEHIND',
      message: `bundle 5 is not applied everywhere after 0.05 s: ${other.id} (at 4)`,
    });
  });

  test('does not wait for a server that has taken leave', async () => {
    const [one, other] = [await present(5), await present(4)];
    const waiting = one.untilApplied(5);
    await other.close();
    await waiting;
  });
});

test('a closed server does not come back by a heartbeat', async () => {
  const one = await present(1);
  await one.close();
  await one.applies(2);
  expect(await db.store.listReplicas()).toEqual([]);
});

test('a CA tells of its authorities and of the bundle that it has applied, and takes leave when it is closed', async () => {
  const ca = await createTestAuthority({ store: await db.openAnother() });
  const told = async () => (await db.store.listReplicas()).find(({ id }) => id === ca.replicaId);
  expect(await told()).toMatchObject({
    version: '1.15.3-espalier-0.1.0',
    isLive: true,
    appliedSequence: ca.bundle().sequenceNumber,
    authorities: { x509: { active: ca.x509Authority() }, jwt: { active: ca.jwtAuthority() } },
  });
  const prepared = await ca.x509.prepare();
  expect(await told()).toMatchObject({
    appliedSequence: ca.bundle().sequenceNumber,
    authorities: { x509: { active: ca.x509Authority(), prepared } },
  });
  await ca.close();
  expect(await told()).toBeUndefined();
});

test('a CA applies what another one appends to the bundle', async () => {
  const one = await createTestAuthority({ store: await db.openAnother() });
  const other = await createTestAuthority({ store: await db.openAnother() });
  opened.push(one, other);
  await other.x509.prepare();
  await other.appliedEverywhere();
  expect(one.bundle()).toEqual(other.bundle());
  const applied = (await db.store.listReplicas()).map(({ appliedSequence }) => appliedSequence);
  expect(applied).toEqual([other.bundle().sequenceNumber, other.bundle().sequenceNumber]);
  await eventually(async () => expect((await db.store.listReplicas()).length).toBe(2));
});

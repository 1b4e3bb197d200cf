import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyJwtSvid } from '../../../../runtime/pki/jwt-svid.ts';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { faultPoints } from '../../../../runtime/server/ca/fault-points.ts';
import type { FaultPoint } from '../../../../runtime/server/ca/fault-points.ts';
import { openDiskKeyManager } from '../../../../runtime/server/keys/disk.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { createTestAuthority, trustDomain, workloadKey } from '../../../support/authorities.ts';
import { mortal } from '../../../support/mortal-store.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

let db: TestStore;
let directory: string;
const opened: CertificateAuthority[] = [];
beforeEach(async () => {
  db = await createTestStore();
  directory = mkdtempSync(join(tmpdir(), 'espalier-crash-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ca) => ca.close()));
  await db.drop();
  rmSync(directory, { recursive: true });
});

const open = async (options: { patienceMs?: number } = {}): Promise<CertificateAuthority> => {
  const keys = await openDiskKeyManager({ path: join(directory, 'keys.json') });
  const ca = await createTestAuthority({ store: await db.openAnother(), keys, ...options });
  opened.push(ca);
  return ca;
};
/** A server that dies at one point: it acts no more, and writes no more. */
const openDoomed = async (doom: FaultPoint) => {
  const mortalStore = mortal(await db.openAnother());
  const { store } = mortalStore;
  const keys = await openDiskKeyManager({ path: join(directory, 'keys.json') });
  const state = { isArmed: false, hasDied: false };
  const ca = await createTestAuthority({
    store,
    keys,
    faultPoint(point) {
      if (!state.isArmed || (point !== doom && !state.hasDied)) return;
      state.hasDied = true;
      mortalStore.die();
      throw new Error(`killed at ${point}`);
    },
  });
  return Object.assign(state, { ca });
};
const idsOf = {
  x509: (ca: CertificateAuthority) => ca.bundle().x509Authorities.map(x509AuthorityId),
  jwt: (ca: CertificateAuthority) => ca.bundle().jwtAuthorities.map(({ keyId }) => keyId),
};
const isTainted = (ca: CertificateAuthority, id: string) =>
  ca.bundle().x509Authorities.some((held) => held.tainted === true && x509AuthorityId(held) === id) ||
  ca.bundle().jwtAuthorities.some(({ keyId, tainted }) => tainted === true && keyId === id);

/** Goes on from whatever state it finds, as whoever rotates does. */
const rotateAway = async (ca: CertificateAuthority, kind: 'x509' | 'jwt', first: string): Promise<void> => {
  const control = ca[kind];
  if (control.states().active?.authorityId === first) {
    await control.activate((control.states().prepared ?? (await control.prepare())).authorityId);
  }
  if (!idsOf[kind](ca).includes(first)) return;
  if (!isTainted(ca, first)) await control.taint(first);
  await control.revoke(first);
};

/** One that nothing was signed with, beside the active one. */
const prepareAndWithdraw = async (ca: CertificateAuthority, kind: 'x509' | 'jwt'): Promise<void> => {
  const { authorityId } = await ca[kind].prepare();
  await ca[kind].withdraw(authorityId);
};

const checkSigning = async (ca: CertificateAuthority): Promise<void> => {
  const bundle = (await db.store.fetchBundle('example.org'))!;
  const spiffeId = parseSpiffeId('spiffe://example.org/w');
  const { chain } = await ca.signX509Svid({ publicKey: workloadKey.publicKey, spiffeId });
  const roots = bundle.x509Authorities.filter(({ tainted }) => tainted !== true).map(({ asn1 }) => asn1);
  verifyX509Svid({ chain: chain.map(({ der }) => der), roots, now: Date.now(), trustDomain });
  const { token } = await ca.signJwtSvid({ spiffeId, audience: ['a'] });
  const jwtAuthorities = bundle.jwtAuthorities.filter(({ tainted }) => tainted !== true);
  verifyJwtSvid({ token, bundle: { ...bundle, jwtAuthorities }, audience: ['a'], now: Date.now() });
};

const own = faultPoints.filter((point) => !point.startsWith('handOver'));
describe.each(own)('killed at %s, a server', (doom) => {
  const kind = doom.startsWith('x509') ? 'x509' : 'jwt';

  test('starts again, signs with what is published and untainted, and can be rotated to the end', async () => {
    const doomed = await openDoomed(doom);
    const first = doomed.ca[kind].states().active!.authorityId;
    doomed.isArmed = true;
    const act = doom.includes('withdraw') ? prepareAndWithdraw : rotateAway;
    await expect(act(doomed.ca, kind, first)).rejects.toThrow(/killed at|is dead/);
    expect(doomed.hasDied).toBe(true);
    await doomed.ca.close();
    const left = (await db.store.fetchBundle('example.org'))!;

    const again = await open();
    expect(again.bundle().sequenceNumber).toBeGreaterThanOrEqual(left.sequenceNumber);
    const ids = [...left.x509Authorities.map(x509AuthorityId), ...left.jwtAuthorities.map(({ keyId }) => keyId)];
    expect([...idsOf.x509(again), ...idsOf.jwt(again)]).toEqual(expect.arrayContaining(ids));
    await checkSigning(again);
    await rotateAway(again, kind, first);
    await checkSigning(again);
    // Nothing is left over in the bundle that nobody holds.
    expect(idsOf[kind](again)).toEqual([again[kind].states().active?.authorityId]);
    expect(again[kind].states().active?.authorityId).not.toBe(first);
    const intents = await db.store.listIntents();
    const serials = intents.flatMap(({ serialNumber }) => serialNumber ?? []);
    expect(new Set(serials).size).toBe(serials.length);
    const intended = intents.map(({ authorityId }) => authorityId);
    expect(intended).toEqual(expect.arrayContaining([...idsOf.x509(again), ...idsOf.jwt(again)]));
  });
});

describe.each(['handOver.taken', 'handOver.done', 'handOver.answered'] as const)(
  'an owner that is killed at %s',
  (doom) => {
    test('leaves an asker that knows, and does after its return what is asked again', async () => {
      const asker = await createTestAuthority({ store: await db.openAnother(), patienceMs: 2_000 }); // in which a busy owner takes the act
      opened.push(asker);
      const owner = await openDoomed(doom);
      const { authorityId } = await owner.ca.x509.prepare();
      owner.isArmed = true;
      const asked = await asker.x509.activate(authorityId).then(
        () => 'done',
        (error: unknown) => (error as Error).message,
      );
      if (doom === 'handOver.answered') expect(asked).toMatch(/^done$|is not applied everywhere/);
      else expect(asked).toMatch(/does not answer within 2 s; it may have been done: look at the state/);
      await owner.ca.close();
      const again = await open();
      if (again.x509Authority().authorityId !== authorityId) await asker.x509.activate(authorityId);
      expect(again.x509Authority().authorityId).toBe(authorityId);
      await checkSigning(again);
    });
  },
);

describe('at the start', () => {
  test('a journal that was lost is made up for by the keys and the bundle', async () => {
    const ca = await open();
    const before = [ca.x509Authority(), ca.jwtAuthority()].map(({ authorityId }) => authorityId);
    await opened.pop()!.close();
    await db.store.pruneCaJournals(Number.MAX_SAFE_INTEGER);
    const again = await open();
    expect([again.x509Authority(), again.jwtAuthority()].map(({ authorityId }) => authorityId)).toEqual(before);
    expect([idsOf.x509(again), idsOf.jwt(again)]).toEqual(before.map((id) => [id]));
  });

  test('an authority that the journal calls active and the bundle tainted does not sign', async () => {
    const ca = await open();
    const first = ca.x509Authority().authorityId;
    const { authorityId: second } = await ca.x509.prepare();
    await opened.pop()!.close();
    await db.store.taintX509Authority('example.org', first);
    const again = await open();
    expect(again.x509.states()).toMatchObject({ active: { authorityId: second }, old: { authorityId: first } });
    await checkSigning(again);
  });

  test('a database that was set back makes it rotate rather than sign with what is not published', async () => {
    const ca = await open();
    const before = (await db.store.fetchBundle('example.org'))!;
    const { authorityId } = await ca.x509.prepare();
    await ca.x509.activate(authorityId);
    await opened.pop()!.close();
    await db.store.setBundle(before);
    const again = await open();
    expect(again.x509Authority().authorityId).not.toBe(authorityId);
    await checkSigning(again);
  });
});

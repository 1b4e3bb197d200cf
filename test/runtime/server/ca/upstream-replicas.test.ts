// Two servers of one tier, on one database, under the same upstream.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLocalAuthorityService } from '../../../../runtime/server/api/local-authority-service.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { createMovableClock, createTestAuthority, hourMs } from '../../../support/authorities.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { upstreamOf } from '../../../support/upstreams.ts';
import { eventually } from '../../../support/eventually.ts';

let stores: { above: TestStore; below: TestStore };
let root: CertificateAuthority;
const opened: CertificateAuthority[] = [];
beforeEach(async () => {
  stores = { above: await createTestStore(), below: await createTestStore() };
  root = await createTestAuthority({ store: stores.above.store, config: { caTtl: 1000 * hourMs } });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ca) => ca.close()));
  await root.close();
  await Promise.all([stores.above.drop(), stores.below.drop()]);
});
const openBelow = async (): Promise<CertificateAuthority> => {
  const ca = await createTestAuthority({ store: await stores.below.openAnother(), upstream: upstreamOf(root) });
  opened.push(ca);
  return ca;
};
type Call = (request: { subjectKeyId: string }) => Promise<object>;
const apiOf = (authority: CertificateAuthority) => {
  const api = createLocalAuthorityService({ authority, disableJwtSvids: false, log: silentLog });
  return { taint: api.taintX509UpstreamAuthority as Call, revoke: api.revokeX509UpstreamAuthority as Call };
};
const marksOf = (ca: CertificateAuthority) =>
  ca.bundle().x509Authorities.map((held) => [x509AuthorityId(held), held.tainted === true]);
/** Under whatever the upstream signs with now. */
const renew = async (ca: CertificateAuthority) => ca.x509.activate((await ca.x509.prepare()).authorityId);
const { INVALID_ARGUMENT, INTERNAL } = statusCode;

describe('tainting and revoking a root of the upstream by hand', () => {
  test('is refused as long as any server signs under it, and holds in all when a call returns', async () => {
    const [one, other] = [await openBelow(), await openBelow()];
    const first = root.x509Authority().authorityId;
    const taint = (id: string) => apiOf(one).taint({ subjectKeyId: id });
    const notValid = (why: string) => ({
      code: INVALID_ARGUMENT,
      message: `provided subject key id is not valid: ${why}`,
    });
    await expect(taint('')).rejects.toMatchObject(notValid('no subject key ID provided'));
    await expect(taint('00')).rejects.toMatchObject(notValid("upstream authority didn't sign the old local authority"));
    await expect(taint(first)).rejects.toMatchObject(
      notValid('unable to use upstream authority singing current authority'),
    );
    await other.x509.prepare();
    const second = (await root.x509.prepare()).authorityId;
    await root.x509.activate(second);
    await renew(one);
    // The other one still signs under it.
    await expect(taint(first)).rejects.toMatchObject(
      notValid('unable to use upstream authority singing current authority'),
    );
    await renew(other);
    await expect(apiOf(other).revoke({ subjectKeyId: first })).rejects.toMatchObject({
      code: INTERNAL,
      message: 'failed to revoke X.509 upstream authority: it is not possible to revoke an untainted root CA',
    });
    expect(await taint(first.toUpperCase())).toEqual({ upstreamAuthoritySubjectKeyId: first });
    for (const ca of [one, other]) {
      expect(marksOf(ca)).toEqual([
        [first, true],
        [second, false],
      ]);
    }
    await expect(taint(first)).rejects.toMatchObject({
      code: INTERNAL,
      message: 'failed to taint upstream authority: root CA is already tainted',
    });

    // The upstream itself has not tainted it: its looks do not take the mark back, and do not bring back what is revoked.
    await sleep(100);
    expect(marksOf(other)).toContainEqual([first, true]);
    await apiOf(other).revoke({ subjectKeyId: first });
    await sleep(100);
    for (const ca of [one, other]) {
      expect(marksOf(ca)).toEqual([[second, false]]);
      // A CA under a root that is gone is not kept.
      await eventually(() => expect(Object.keys(ca.x509.states())).toEqual(['active']));
    }
  });

  test('is refused for a root that a prepared authority stands under', async () => {
    const one = await openBelow();
    const second = (await root.x509.prepare()).authorityId;
    await root.x509.activate(second);
    await one.x509.prepare();
    await expect(apiOf(one).taint({ subjectKeyId: second })).rejects.toMatchObject({
      code: INVALID_ARGUMENT,
      message: 'provided subject key id is not valid: only upstream authorities signing an old authority can be used',
    });
  });
});

test('a taint of the upstream reaches the bundle after the servers sign under another root, not before', async () => {
  const [one, other] = [await openBelow(), await openBelow()];
  const first = root.x509Authority().authorityId;
  const second = (await root.x509.prepare()).authorityId;
  await root.x509.activate(second);
  const signedUnderTainted: string[] = [];
  for (const ca of [one, other]) {
    ca.onBundle(() => {
      const isTainted = marksOf(ca).some(([id, tainted]) => id === first && tainted === true);
      if (isTainted && ca.x509Authority().upstreamAuthorityId === first) signedUnderTainted.push(ca.replicaId);
    });
  }
  await root.x509.taint(first);
  await eventually(() => {
    for (const ca of [one, other]) {
      expect(marksOf(ca)).toContainEqual([first, true]);
      expect(ca.x509Authority().upstreamAuthorityId).toBe(second);
    }
  });
  expect(signedUnderTainted).toEqual([]);
  await root.x509.revoke(first);
  await eventually(() => {
    for (const ca of [one, other]) expect(marksOf(ca)).toEqual([[second, false]]);
  });
});

test('a JWT key that the upstream prepared and took back goes from the bundles below, and our own keys stay', async () => {
  const ca = await openBelow();
  const keysOf = () => ca.bundle().jwtAuthorities.map(({ keyId }) => keyId);
  const own = ca.jwt.states().active!.authorityId;
  const { authorityId } = await root.jwt.prepare();
  await eventually(() => expect(keysOf()).toContain(authorityId));
  await root.jwt.withdraw(authorityId);
  await eventually(() => expect(keysOf()).not.toContain(authorityId));
  expect(keysOf()).toEqual(expect.arrayContaining([own, root.jwt.states().active!.authorityId]));
});

test('a server whose upstream is away when its CA is due still applies what another one is asked for', async () => {
  const clock = createMovableClock();
  const upstream = upstreamOf(root);
  const openWith = async (store: Store): Promise<CertificateAuthority> => {
    const ca = await createTestAuthority({ store, upstream, clock, patienceMs: 5_000 });
    opened.push(ca);
    return ca;
  };
  const owner = await openWith(await stores.below.openAnother());
  const other = await openWith(await stores.below.openAnother());
  const first = owner.jwtAuthority().authorityId;
  const { authorityId: second } = await owner.jwt.prepare();
  upstream.reachable = false;
  clock.advance(13 * hourMs);
  await owner.jwt.activate(second);
  await other.jwt.taint(first);
  for (const ca of [owner, other])
    expect(ca.bundle().jwtAuthorities.find(({ keyId }) => keyId === first)?.tainted).toBe(true);
});

test('a JWT key that is tainted and revoked below stays so, although the upstream still has it', async () => {
  const [one, other] = [await openBelow(), await openBelow()];
  const first = one.jwtAuthority().authorityId;
  await one.jwt.activate((await one.jwt.prepare()).authorityId);
  const has = (ca: CertificateAuthority) => ca.bundle().jwtAuthorities.find(({ keyId }) => keyId === first);
  await other.jwt.taint(first);
  await sleep(100);
  expect([has(one)?.tainted, has(other)?.tainted]).toEqual([true, true]);
  await other.jwt.revoke(first);
  await sleep(100);
  expect([has(one), has(other)]).toEqual([undefined, undefined]);
  expect(root.bundle().jwtAuthorities.map(({ keyId }) => keyId)).toContain(first);
});

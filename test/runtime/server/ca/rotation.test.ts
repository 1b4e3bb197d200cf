import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { verifyJwtSvid } from '../../../../runtime/pki/jwt-svid.ts';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { openDiskKeyManager } from '../../../../runtime/server/keys/disk.ts';
import { createMemoryKeyManager } from '../../../../runtime/server/keys/memory.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import {
  createMovableClock,
  createTestAuthority,
  hourMs,
  trustDomain,
  workloadKey,
} from '../../../support/authorities.ts';
import type { MovableClock, TestAuthorityOptions } from '../../../support/authorities.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

let db: TestStore;
let clock: MovableClock;
const opened: CertificateAuthority[] = [];
beforeEach(async () => {
  clock = createMovableClock();
  db = await createTestStore(clock);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ca) => ca.close()));
  await db.drop();
});

const open = async (options: Partial<TestAuthorityOptions> = {}): Promise<CertificateAuthority> => {
  const ca = await createTestAuthority({ store: db.store, clock, ...options });
  opened.push(ca);
  return ca;
};
const spiffeId = parseSpiffeId('spiffe://example.org/w');
const rootIds = (ca: CertificateAuthority) => ca.bundle().x509Authorities.map(x509AuthorityId);

describe('by the clock', () => {
  test('a successor is prepared and published at half life, and signs from five sixths on', async () => {
    const ca = await open();
    const [first, firstJwt] = [ca.x509Authority(), ca.jwtAuthority()];
    expect(ca.x509.states()).toEqual({ active: first });

    clock.advance(12 * hourMs);
    const prepared = await eventually(() => {
      const { x509, jwt } = ca;
      expect(jwt.states().prepared).toBeDefined();
      return x509.states().prepared!;
    });
    await eventually(() => expect(rootIds(ca)).toEqual([first.authorityId, prepared.authorityId]));
    expect(ca.x509Authority()).toEqual(first);
    expect(ca.jwtAuthority()).toEqual(firstJwt);

    clock.advance(8 * hourMs);
    await eventually(() => expect(ca.x509.states()).toEqual({ active: prepared, old: first }));
    await eventually(() => expect(ca.jwt.states().old).toEqual(firstJwt));
  });

  test('authorities are pruned a day after their end', async () => {
    const ca = await open();
    const first = ca.x509Authority().authorityId;
    for (let hours = 0; hours <= 49; hours += 1) {
      clock.advance(hourMs);
      await eventually(() => expect(ca.x509Authority().expiresAt - clock()).toBeGreaterThan(3 * hourMs));
    }
    await eventually(() => expect(rootIds(ca)).not.toContain(first));
  });

  test('the server renews its own identity at half life', async () => {
    const ca = await open();
    const before = ca.serverCredentials();
    clock.advance(hourMs / 2 - 1_000);
    await eventually(() => expect(ca.serverCredentials()).toBe(before));
    clock.advance(1_000);
    await eventually(() => expect(ca.serverCredentials()).not.toBe(before));
  });
});

describe('by hand', () => {
  test('prepare, activate, taint and revoke go in this order and no other', async () => {
    const ca = await open();
    const first = ca.x509Authority().authorityId;
    await expect(ca.x509.activate(first)).rejects.toMatchObject({ code: 'WRONG_STATE' });
    await expect(ca.x509.taint(first)).rejects.toMatchObject({ code: 'WRONG_STATE' });
    const { authorityId: second } = await ca.x509.prepare();
    await expect(ca.x509.activate('')).rejects.toMatchObject({ code: 'WRONG_STATE' });
    await expect(ca.x509.taint(second)).rejects.toMatchObject({ code: 'WRONG_STATE' });
    await ca.x509.activate(second);
    await expect(ca.x509.revoke(first)).rejects.toMatchObject({ code: 'NOT_TAINTED' });
    const before = ca.serverCredentials();
    await ca.x509.taint(first);
    expect(ca.serverCredentials()).not.toBe(before);
    await expect(ca.x509.taint(first)).rejects.toMatchObject({ code: 'ALREADY_TAINTED' });
    await ca.x509.revoke(first);
    expect(rootIds(ca)).toEqual([second]);
    expect(ca.x509.states().active?.authorityId).toBe(second);
    expect(Object.keys(ca.x509.states())).toEqual(['active']);
  });

  test.each(['x509', 'jwt'] as const)(
    'a prepared %s authority is withdrawn, which never comes back, and no other is',
    async (kind) => {
      const ca = await open();
      const control = ca[kind];
      const idsOf = () => (kind === 'x509' ? rootIds(ca) : ca.bundle().jwtAuthorities.map(({ keyId }) => keyId));
      const first = control.states().active!.authorityId;
      await expect(control.withdraw(first)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      const { authorityId: second } = await control.prepare();
      const withSecond = ca.bundle();
      await control.withdraw(second);
      expect(idsOf()).toEqual([first]);
      expect(control.states().prepared).toBeUndefined();
      await expect(control.activate(second)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      // Whoever still holds it cannot bring it back.
      await db.store.appendBundle(withSecond);
      await ca.refreshBundle();
      expect(idsOf()).toEqual([first]);
      const { authorityId: third } = await control.prepare();
      await control.activate(third);
      expect(control.states().active?.authorityId).toBe(third);
    },
  );

  test('whatever is signed meanwhile verifies against the bundle of that moment', async () => {
    const ca = await open();
    const { publicKey } = workloadKey;
    let [rotating, signed] = [true, 0];
    const sign = async (): Promise<void> => {
      while (rotating) {
        const { chain } = await ca.signX509Svid({ publicKey, spiffeId });
        const { token } = await ca.signJwtSvid({ spiffeId, audience: ['a'] });
        const bundle = ca.bundle();
        const roots = bundle.x509Authorities.map(({ asn1 }) => asn1);
        verifyX509Svid({ chain: chain.map(({ der }) => der), roots, now: clock(), trustDomain });
        verifyJwtSvid({ token, bundle, audience: ['a'], now: clock() });
        signed += 1;
        await setImmediate();
      }
    };
    const signing = [sign(), sign(), sign()];
    for (const control of [ca.x509, ca.jwt]) {
      const old = control.states().active!.authorityId;
      await control.activate((await control.prepare()).authorityId);
      await control.taint(old);
      await control.revoke(old);
    }
    rotating = false;
    await Promise.all(signing);
    expect(signed).toBeGreaterThan(10);
    expect(rootIds(ca)).toEqual([ca.x509Authority().authorityId]);
  });

  test('JWT keys go the same way', async () => {
    const ca = await open();
    const first = ca.jwtAuthority().authorityId;
    const { authorityId: second } = await ca.jwt.prepare();
    await ca.jwt.activate(second);
    await ca.jwt.taint(first);
    expect(ca.bundle().jwtAuthorities.map(({ keyId, tainted }) => [keyId, tainted])).toEqual([
      [first, true],
      [second, undefined],
    ]);
    await ca.jwt.revoke(first);
    expect(ca.bundle().jwtAuthorities.map(({ keyId }) => keyId)).toEqual([second]);
  });
});

describe('after a restart', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'espalier-ca-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });
  const diskKeys = () => openDiskKeyManager({ path: join(directory, `${db.url.slice(-12)}.json`) });
  const restart = async (ca: CertificateAuthority, options: Partial<TestAuthorityOptions> = {}) => {
    opened.splice(opened.indexOf(ca), 1);
    await ca.close();
    return open({ keys: await diskKeys(), ...options });
  };

  test('the same authorities go on, with the disk key manager', async () => {
    const ca = await open({ keys: await diskKeys() });
    const before = [ca.x509.states(), ca.jwt.states(), ca.bundle()];
    const again = await restart(ca);
    expect([again.x509.states(), again.jwt.states(), again.bundle()]).toEqual(before);
  });

  test('prepared and old authorities keep their places', async () => {
    const ca = await open({ keys: await diskKeys() });
    await ca.x509.activate((await ca.x509.prepare()).authorityId);
    await ca.jwt.prepare();
    const before = [ca.x509.states(), ca.jwt.states()];
    const again = await restart(ca);
    expect([again.x509.states(), again.jwt.states()]).toEqual(before);
    expect(Object.keys(again.x509.states())).toEqual(['active', 'old']);
    expect(Object.keys(again.jwt.states())).toEqual(['active', 'prepared']);
  });

  test('new authorities begin beside the old ones, with the memory key manager', async () => {
    const ca = await open();
    const first = ca.x509Authority().authorityId;
    const again = await restart(ca, { keys: createMemoryKeyManager() });
    expect(again.x509Authority().authorityId).not.toBe(first);
    expect(rootIds(again)).toEqual([first, again.x509Authority().authorityId]);
  });

  test('an authority that the bundle does not know any more is not used', async () => {
    const ca = await open({ keys: await diskKeys() });
    const [first, firstJwt] = [ca.x509Authority().authorityId, ca.jwtAuthority().authorityId];
    await ca.close();
    opened.length = 0;
    await db.store.deleteBundle('example.org', 'restrict');
    const again = await open({ keys: await diskKeys() });
    expect(again.x509Authority().authorityId).not.toBe(first);
    expect(again.jwtAuthority().authorityId).not.toBe(firstJwt);
  });

  test('an expired authority is replaced', async () => {
    const ca = await open({ keys: await diskKeys() });
    const first = ca.x509Authority().authorityId;
    await ca.close();
    opened.length = 0;
    clock.advance(25 * hourMs);
    expect((await open({ keys: await diskKeys() })).x509Authority().authorityId).not.toBe(first);
  });
});

test('two servers on one database have a CA each, and both know both', async () => {
  const one = await open();
  const other = await open({ store: await db.openAnother() });
  const ids = [one.x509Authority().authorityId, other.x509Authority().authorityId];
  expect(ids[0]).not.toBe(ids[1]);
  await eventually(() => {
    expect(rootIds(one)).toEqual(ids);
    expect(rootIds(other)).toEqual(ids);
  });
});

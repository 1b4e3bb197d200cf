import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { createExclusion } from '../../../../runtime/server/ca/exclusively.ts';
import { createRotation } from '../../../../runtime/server/ca/rotation.ts';
import type { Slot } from '../../../../runtime/server/ca/slot.ts';
import type { ManagedKey } from '../../../../runtime/server/keys/key-manager.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import {
  createMovableClock,
  createTestAuthority,
  hourMs,
  trustDomain,
  workloadKey,
} from '../../../support/authorities.ts';
import type { MovableClock, TestAuthorityOptions } from '../../../support/authorities.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
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
const sign = (ca: CertificateAuthority) =>
  ca.signX509Svid({ publicKey: workloadKey.publicKey, spiffeId: parseSpiffeId('spiffe://example.org/w') });
/** Looks at the clock only when told: never. */
const never = 1_000_000_000;

describe('an authority that is gone from the bundle', () => {
  test('signs nothing more', async () => {
    const other = await open({ store: await db.openAnother() });
    const ca = await open({ tickMs: never });
    const mine = ca.x509Authority().authorityId;
    const replaced = vi.fn();
    // By whatever hand: here, straight in the store.
    await db.store.changeBundle('example.org', (bundle) => ({
      ...bundle,
      x509Authorities: bundle.x509Authorities.filter((held) => x509AuthorityId(held) !== mine),
      jwtAuthorities: bundle.jwtAuthorities.filter(({ keyId }) => keyId !== ca.jwtAuthority().authorityId),
    }));
    await eventually(() => expect(ca.bundle().x509Authorities.map(x509AuthorityId)).not.toContain(mine));
    for (let i = 0; i < 20; i += 1) {
      const outcome = await sign(ca).catch((error: unknown) => error as { code: string });
      if ('code' in outcome) expect(outcome.code).toBe('NOT_READY');
      else {
        replaced();
        const roots = ca.bundle().x509Authorities.map(({ asn1 }) => asn1);
        verifyX509Svid({ chain: outcome.chain.map(({ der }) => der), roots, now: clock(), trustDomain });
      }
    }
    await eventually(() => expect(ca.x509Authority().authorityId).not.toBe(mine));
    expect(other.x509Authority().authorityId).not.toBe(mine);
  });
});

describe('an authority that would end before an SVID of default lifetime', () => {
  const config = { x509SvidTtl: 5 * hourMs };

  test('is not activated by hand', async () => {
    const ca = await open({ config, tickMs: never });
    const { authorityId } = await ca.x509.prepare();
    clock.advance(19.5 * hourMs);
    await expect(ca.x509.activate(authorityId)).rejects.toMatchObject({
      code: 'TTL_LATTICE',
      message: expect.stringMatching(
        /^X.509 authority would end before what it signs: it has left 4h\d\dm\d\ds, an SVID 5h0m0s$/,
      ) as string,
    });
    expect(ca.x509.states().prepared?.authorityId).toBe(authorityId);
  });

  test('is replaced by a fresh one when the clock asks for it', async () => {
    const ca = await open({ config });
    const first = ca.x509Authority();
    const { authorityId } = await ca.x509.prepare();
    clock.advance(21 * hourMs);
    await eventually(() => expect(ca.x509Authority().authorityId).not.toBe(first.authorityId));
    expect(ca.x509Authority().authorityId).not.toBe(authorityId);
    expect(ca.x509Authority().expiresAt - clock()).toBeGreaterThan(5 * hourMs);
  });
});

test('a prepared authority is activated in time while the store is away', async () => {
  let isAway = false;
  const guarded = new Proxy(db.store, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== 'function' || name === 'watch') return method;
      return (...args: unknown[]): unknown =>
        isAway
          ? Promise.reject(new StoreError('UNAVAILABLE', 'away'))
          : (method as (...all: unknown[]) => unknown)(...args);
    },
  });
  const ca = await open({ store: guarded });
  clock.advance(11 * hourMs);
  const { authorityId } = await ca.x509.prepare();
  isAway = true;
  clock.advance(9.5 * hourMs);
  await eventually(() => expect(ca.x509Authority().authorityId).toBe(authorityId));
  expect((await sign(ca)).chain).toHaveLength(1);
  isAway = false;
  // What could not be noted then is noted now.
  await eventually(async () => {
    const journal = await db.store.fetchCaJournal(authorityId);
    expect(journal?.activeX509AuthorityId).toBe(authorityId);
    expect((await db.store.listReplicas()).map(({ authorities }) => authorities.x509.active?.authorityId)).toEqual([
      authorityId,
    ]);
  });
});

describe('a rotation', () => {
  interface Marks {
    isPublished: boolean;
    isTainted: boolean;
  }
  const slot: Slot = {
    name: 'A',
    authorityId: 'a',
    key: {} as ManagedKey,
    issuedAt: 0,
    notAfter: 1_000_000_000_000,
  };
  const rotationWith = (marks: Marks) =>
    createRotation({
      kind: {
        name: 'x509',
        label: 'X509 CA',
        mint: () => Promise.reject(new Error('not asked for')),
        remember: () => Promise.resolve(),
        forget: () => Promise.resolve(),
        withdraw: () => Promise.resolve(),
        taint: () => Promise.resolve(),
        revoke: () => Promise.resolve(),
        checkRemaining: () => undefined,
        isPublished: () => marks.isPublished,
        isTainted: () => marks.isTainted,
      },
      restored: { active: slot, prepared: { ...slot, name: 'B', authorityId: 'b' } },
      clock: () => 0,
      log: silentLog,
      exclusively: createExclusion(),
    });

  test('gives its active authority to sign with as long as the bundle has it, at that very moment', () => {
    const marks = { isPublished: true, isTainted: false };
    const { signing, active } = rotationWith(marks);
    expect(signing()).toBe(slot);
    marks.isPublished = false;
    expect(signing).toThrow(
      expect.objectContaining({ code: 'NOT_READY', message: 'X509 CA a is not in the published bundle' }) as Error,
    );
    expect(active()).toBe(slot);
  });

  test.each([
    ['is not in the bundle', { isPublished: false, isTainted: false }],
    ['is tainted', { isPublished: true, isTainted: true }],
  ])('activates no authority that %s', async (_, marks) => {
    const { control } = rotationWith(marks);
    await expect(control.activate('b')).rejects.toMatchObject({
      code: 'WRONG_STATE',
      message: 'X509 CA b is tainted or not in the bundle',
    });
    expect(control.states().active?.authorityId).toBe('a');
  });
});

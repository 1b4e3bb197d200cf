import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyJwtSvid } from '../../../../runtime/pki/jwt-svid.ts';
import { subjectText } from '../../../../runtime/pki/certificate.ts';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { createMemoryKeyManager } from '../../../../runtime/server/keys/memory.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import {
  createMovableClock,
  createTestAuthority,
  downstreamId,
  hourMs,
  trustDomain,
  workloadKey,
} from '../../../support/authorities.ts';
import type { MovableClock } from '../../../support/authorities.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { upstreamOf } from '../../../support/upstreams.ts';
import type { InProcessUpstream } from '../../../support/upstreams.ts';
import { eventually } from '../../../support/eventually.ts';

let stores: { above: TestStore; below: TestStore };
let clock: MovableClock;
let root: CertificateAuthority;
let upstream: InProcessUpstream;
const opened: CertificateAuthority[] = [];

beforeEach(async () => {
  clock = createMovableClock();
  stores = { above: await createTestStore(clock), below: await createTestStore(clock) };
  root = await createTestAuthority({ store: stores.above.store, clock, config: { caTtl: 1000 * hourMs } });
  upstream = upstreamOf(root);
});
afterEach(async () => {
  await Promise.all([...opened.splice(0), root].map((ca) => ca.close()));
  await Promise.all([stores.above.drop(), stores.below.drop()]);
});

const openBelow = async (
  options: { keys?: ReturnType<typeof createMemoryKeyManager>; upstreamPatienceMs?: number } = {},
) => {
  const ca = await createTestAuthority({ store: stores.below.store, clock, upstream, ...options });
  opened.push(ca);
  return ca;
};
const rootIds = (ca: CertificateAuthority) => ca.bundle().x509Authorities.map(x509AuthorityId);
const spiffeId = parseSpiffeId('spiffe://example.org/workload');
const sign = (ca: CertificateAuthority) => ca.signX509Svid({ publicKey: workloadKey.publicKey, spiffeId });

describe('a CA under an upstream', () => {
  test('signs leaves that verify against the root, with the intermediate in their chain', async () => {
    const { chain } = await sign(await openBelow());
    expect(chain.map(({ isCa }) => isCa)).toEqual([false, true]);
    const roots = root.bundle().x509Authorities.map(({ asn1 }) => asn1);
    const verified = verifyX509Svid({ chain: chain.map(({ der }) => der), roots, now: clock(), trustDomain });
    expect(verified.chain).toHaveLength(3);
  });

  test('has the root alone in its bundle, and names it in its state', async () => {
    const below = await openBelow();
    expect(rootIds(below)).toEqual([root.x509Authority().authorityId]);
    expect(below.x509Authority().upstreamAuthorityId).toBe(root.x509Authority().authorityId);
  });

  test('publishes its JWT key above, so that its tokens verify there', async () => {
    const { token } = await (await openBelow()).signJwtSvid({ spiffeId, audience: ['a'] });
    expect(verifyJwtSvid({ token, bundle: root.bundle(), audience: ['a'], now: clock() }).id.equals(spiffeId)).toBe(
      true,
    );
  });

  test('signs a further CA below itself, with the whole chain', async () => {
    const { chain } = await (
      await openBelow()
    ).signDownstreamX509Ca({ requester: downstreamId, publicKey: workloadKey.publicKey, ttlMs: hourMs });
    expect(chain.map(subjectText).map((text) => /OU=(DOWNSTREAM-\d)/.exec(text)?.[1])).toEqual([
      'DOWNSTREAM-1',
      'DOWNSTREAM-1',
    ]);
    expect(chain[0]?.notAfter).toBeLessThanOrEqual(chain[1]?.notAfter ?? 0);
  });

  test('goes on after a restart', async () => {
    const keys = createMemoryKeyManager();
    const below = await openBelow({ keys });
    const before = [below.x509.states(), below.jwt.states()];
    await opened.pop()?.close();
    upstream.reachable = false;
    const again = await openBelow({ keys });
    expect([again.x509.states(), again.jwt.states()]).toEqual(before);
    expect((await sign(again)).chain).toHaveLength(2);
  });

  test('cannot taint or revoke locally', async () => {
    const below = await openBelow();
    const first = below.x509Authority().authorityId;
    await below.x509.activate((await below.x509.prepare()).authorityId);
    const refusal = {
      code: 'HAS_UPSTREAM',
      message: "local authority can't be tainted if there is an upstream authority",
    };
    await expect(below.x509.taint(first)).rejects.toMatchObject(refusal);
    await expect(below.x509.revoke(first)).rejects.toMatchObject({ code: 'HAS_UPSTREAM' });
  });
});

describe('when the upstream is away', () => {
  test('the start waits for it', async () => {
    upstream.reachable = false;
    const starting = openBelow();
    upstream.reachable = true;
    expect(rootIds(await starting)).toEqual(rootIds(root));
  });

  test('the start fails when patience ends', async () => {
    upstream.reachable = false;
    await expect(openBelow({ upstreamPatienceMs: 100 })).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });

  test('signing goes on to the end of the CA', async () => {
    const below = await openBelow();
    upstream.reachable = false;
    clock.advance(23.5 * hourMs);
    expect((await sign(below)).expiresAt - clock()).toBeLessThanOrEqual(hourMs / 2);
    clock.advance(hourMs);
    await expect(sign(below)).rejects.toMatchObject({ code: 'NOT_READY' });
    upstream.reachable = true;
    // A CA that has ended is replaced as soon as the upstream is back.
    await eventually(async () => expect((await sign(below)).chain).toHaveLength(2));
  });
});

describe('a rotation of the root', () => {
  test('reaches the bundle below in each of its steps', async () => {
    const below = await openBelow();
    const first = root.x509Authority().authorityId;
    const { authorityId: second } = await root.x509.prepare();
    await eventually(() => expect(rootIds(below)).toEqual([first, second]));
    await root.x509.activate(second);
    await root.x509.taint(first);
    await eventually(() =>
      expect(below.bundle().x509Authorities.map(({ tainted }) => tainted === true)).toEqual([true, false]),
    );
    expect(below.x509Authority().upstreamAuthorityId).toBe(second);
    await root.x509.revoke(first);
    await eventually(() => expect(rootIds(below)).toEqual([second]));
    const { chain } = await sign(below);
    const roots = root.bundle().x509Authorities.map(({ asn1 }) => asn1);
    verifyX509Svid({ chain: chain.map(({ der }) => der), roots, now: clock(), trustDomain });
  });
});

test('an upstream that signs another key is refused', async () => {
  const { mintX509Ca } = upstream;
  upstream = {
    ...upstream,
    async mintX509Ca(csr, ttlMs, signal) {
      const { chain } = await root.signDownstreamX509Ca({ requester: downstreamId, publicKey: workloadKey.publicKey });
      return { ...(await mintX509Ca(csr, ttlMs, signal)), chain };
    },
  };
  await expect(openBelow()).rejects.toMatchObject({ code: 'INVALID' });
});

test('an upstream whose root does not stand above what it signed is refused', async () => {
  const { mintX509Ca } = upstream;
  const other = await createTestAuthority({ store: stores.below.store, clock });
  opened.push(other);
  upstream = {
    ...upstream,
    async mintX509Ca(csr, ttlMs, signal) {
      return { ...(await mintX509Ca(csr, ttlMs, signal)), roots: other.bundle().x509Authorities };
    },
  };
  await expect(openBelow()).rejects.toMatchObject({ name: 'PkiError' });
});

test('follows a root that was tainted and revoked faster than it looks', async () => {
  const below = await openBelow();
  const old = root.x509Authority().authorityId;
  upstream.reachable = false;
  const { authorityId: next } = await root.x509.prepare();
  await root.x509.activate(next);
  await root.x509.taint(old);
  await root.x509.revoke(old);
  upstream.reachable = true;
  await eventually(() => expect(below.x509Authority().upstreamAuthorityId).toBe(next));
  await eventually(() => expect(rootIds(below)).toEqual([next]));
});

test('no longer signs under a root that was revoked while it was down', async () => {
  const keys = createMemoryKeyManager();
  await (await openBelow({ keys })).close();
  const old = root.x509Authority().authorityId;
  const { authorityId: next } = await root.x509.prepare();
  await root.x509.activate(next);
  await root.x509.taint(old);
  await root.x509.revoke(old);
  const below = await openBelow({ keys });
  await eventually(() => expect(below.x509Authority().upstreamAuthorityId).toBe(next));
});

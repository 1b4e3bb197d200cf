import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCsr } from '../../../../runtime/pki/csr.ts';
import { certificatesToPem } from '../../../../runtime/pki/pem.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { createSpireUpstream } from '../../../../runtime/server/upstream/spire.ts';
import type { SpireUpstreamOptions } from '../../../../runtime/server/upstream/spire.ts';
import type { UpstreamAuthority, UpstreamBundle } from '../../../../runtime/server/upstream/upstream-authority.ts';
import { bundleOfWire } from '../../../../runtime/server/upstream/wire.ts';
import { createSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { createTestAuthority, hourMs, trustDomain, workloadKey } from '../../../support/authorities.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { startSocketUpstream } from '../../../support/upstreams.ts';
import type { SocketUpstream } from '../../../support/upstreams.ts';
import { eventually } from '../../../support/eventually.ts';

const csr = createCsr({ signer: signerOf(workloadKey.privateKey), spiffeId: createSpiffeId(trustDomain, '') });
const { signal } = new AbortController();

let db: TestStore;
let root: CertificateAuthority;
let above: SocketUpstream;
const opened: UpstreamAuthority[] = [];
beforeEach(async () => {
  db = await createTestStore();
  root = await createTestAuthority({ store: db.store, config: { caTtl: 1000 * hourMs } });
  above = await startSocketUpstream(root, Date.now);
});
afterEach(async () => {
  for (const upstream of opened.splice(0)) upstream.close();
  await above.close();
  await root.close();
  await db.drop();
});

const open = (options: Partial<SpireUpstreamOptions> = {}): UpstreamAuthority => {
  const upstream = createSpireUpstream({
    serverAddress: '127.0.0.1',
    serverPort: above.port,
    workloadApiSocket: above.workloadApiSocket,
    trustDomain,
    log: silentLog,
    clock: Date.now,
    ...options,
  });
  opened.push(upstream);
  return upstream;
};

describe('a CA request', () => {
  test('is answered with a chain below the root, for the time that was asked for', async () => {
    const asked = Math.floor(Date.now() / 1000) * 1000; // a certificate counts whole seconds
    const { chain, roots } = await open().mintX509Ca(csr, 2 * hourMs, signal);
    expect(chain).toHaveLength(1);
    expect(chain[0]?.publicKey.equals(workloadKey.publicKey)).toBe(true);
    expect(chain[0]?.notAfter).toBeGreaterThanOrEqual(asked + 2 * hourMs);
    expect(chain[0]?.notAfter).toBeLessThanOrEqual(Date.now() + 2 * hourMs);
    expect(roots.map(x509AuthorityId)).toEqual([root.x509Authority().authorityId]);
  });

  test('may be tried again where the caller is no downstream yet', async () => {
    above.isDownstream = false;
    await expect(open().mintX509Ca(csr, hourMs, signal)).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });

  test('may be tried again where nobody listens', async () => {
    const upstream = open({ serverPort: 1 });
    await expect(upstream.mintX509Ca(csr, hourMs, signal)).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });

  test('waits for the agent to introduce us, as long as the signal allows', async () => {
    above.introduces = false;
    const upstream = open();
    const early = upstream.mintX509Ca(csr, hourMs, AbortSignal.timeout(300));
    await expect(early).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    above.introduces = true;
    expect((await upstream.mintX509Ca(csr, hourMs, signal)).chain).toHaveLength(1);
  });
});

test('a server that is not /spire/server is not talked to', async () => {
  const { publicKey, privateKey } = workloadKey;
  const { chain } = await root.signX509Svid({ publicKey, spiffeId: createSpiffeId(trustDomain, '/impostor') });
  const certificateChainPem = certificatesToPem(chain.map(({ der }) => der));
  const impostor = await startSocketUpstream(
    { ...root, serverCredentials: () => ({ certificateChainPem, privateKey }) },
    Date.now,
  );
  const upstream = open({ serverPort: impostor.port });
  await expect(upstream.mintX509Ca(csr, hourMs, signal)).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  expect(impostor.calls).toBe(0);
  await impostor.close();
});

test('a JWT key is published, and all keys come back', async () => {
  const { publicKey } = root.bundle().jwtAuthorities[0]!;
  const authority = { keyId: 'ours', publicKey, expiresAt: 2_000_000_000 };
  const all = await open().publishJwtAuthority?.(authority, signal);
  expect(all?.map(({ keyId }) => keyId)).toEqual([root.jwtAuthority().authorityId, 'ours']);
  expect(root.bundle().jwtAuthorities).toContainEqual(authority);
});

describe('the bundle', () => {
  const follow = (upstream: UpstreamAuthority) => {
    const seen: UpstreamBundle[] = [];
    const stop = new AbortController();
    const ended = upstream.watchBundle?.(async (bundle) => void seen.push(bundle), stop.signal);
    return {
      lastIds: () => seen.at(-1)?.x509Authorities.map(x509AuthorityId),
      lastKeyIds: () => seen.at(-1)?.jwtAuthorities.map(({ keyId }) => keyId),
      stop: async () => {
        stop.abort();
        await ended;
      },
    };
  };

  test('is told at once, and again when the agent pushes a change, long before the next poll', async () => {
    const followed = follow(open({ pollMs: 600_000 }));
    await eventually(() => expect(followed.lastIds()).toEqual([root.x509Authority().authorityId]));
    const { authorityId } = await root.x509.prepare();
    await eventually(() => expect(followed.lastIds()).toContain(authorityId));
    await followed.stop();
  });

  test('is polled for JWT keys, of which no agent tells', async () => {
    const followed = follow(open({ pollMs: 50 }));
    const { publicKey } = root.bundle().jwtAuthorities[0]!;
    await root.publishJwtAuthority({ keyId: 'late', publicKey, expiresAt: 0 });
    await eventually(() => expect(followed.lastKeyIds()).toContain('late'));
    await followed.stop();
  });

  test('of another trust domain is not taken', async () => {
    const { sequenceNumber } = root.bundle();
    const wire = {
      trustDomain: 'other.test',
      x509Authorities: [],
      jwtAuthorities: [],
      witAuthorities: [],
      refreshHint: 0,
      sequenceNumber,
    };
    expect(() => bundleOfWire(wire, trustDomain)).toThrow('upstream sent the bundle of "other.test", want example.org');
    expect(() => bundleOfWire({ ...wire, trustDomain: 'example.org' }, trustDomain)).toThrow(
      'without X.509 authorities',
    );
  });
});

test('a whole downstream server: CA, bundle and JWT key over the sockets', async () => {
  const below = await createTestStore();
  const ca = await createTestAuthority({ store: below.store, upstream: open({ pollMs: 100 }) });
  expect(ca.x509Authority().upstreamAuthorityId).toBe(root.x509Authority().authorityId);
  await eventually(() => expect(ca.bundle().jwtAuthorities).toEqual(root.bundle().jwtAuthorities));
  await ca.close();
  await below.drop();
});

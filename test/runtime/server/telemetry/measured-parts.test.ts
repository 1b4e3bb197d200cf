// What the parts around the server count of themselves.
import { verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { UpdateBundle } from '../../../../runtime/server/federation/update-bundle.ts';
import type { FederationRelationship } from '../../../../runtime/server/federation/relationship.ts';
import { createMemoryKeyManager } from '../../../../runtime/server/keys/memory.ts';
import type { KeyManager } from '../../../../runtime/server/keys/key-manager.ts';
import { measureKeys, measureLimiter, measureUpdates } from '../../../../runtime/server/telemetry/measured-parts.ts';
import type { CallContext } from '../../../../runtime/rpc/call-context.ts';
import { resourceExhausted } from '../../../../runtime/rpc/status.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { expose } from '../../../../runtime/telemetry/exposition.ts';
import { createRegistry } from '../../../../runtime/telemetry/registry.ts';
import { parseScrape } from '../../../support/metrics.ts';

function createCounts() {
  const metrics = createRegistry({ prefix: 'spire_server', now: () => 0 });
  const count = (series: string) => parseScrape(expose(metrics)).values.get(`spire_server_${series}`);
  return { metrics, count };
}

describe('a measured key manager', () => {
  it('counts what is asked of it, and what its keys sign, however one came by the key', async () => {
    const { metrics, count } = createCounts();
    const keys = measureKeys(createMemoryKeyManager(), metrics);
    const made = await keys.generateKey('a', 'ec-p256');
    const data = Buffer.from('data');
    const signers = [made, keys.getKey('a')!, keys.listKeys()[0]!].map(({ signer }) => signer);
    for (const signer of signers) expect(verify('sha256', data, made.publicKey, signer.sign(data))).toBe(true);
    expect(count('server_key_manager_generate_key{status="OK"}')).toBe(1);
    expect(count('server_key_manager_get_public_key{status="OK"}')).toBe(1);
    expect(count('server_key_manager_get_public_keys{status="OK"}')).toBe(1);
    expect(count('server_key_manager_sign_data{status="OK"}')).toBe(3);
    expect(keys.getKey('b')).toBeUndefined();
  });

  it('counts a signature that failed as such', () => {
    const { metrics, count } = createCounts();
    const sign = () => {
      throw new Error('the device is away');
    };
    const broken = { getKey: () => ({ signer: { sign } }) } as unknown as KeyManager;
    const { signer } = measureKeys(broken, metrics).getKey('a')!;
    expect(() => signer.sign(new Uint8Array())).toThrow('the device is away');
    expect(count('server_key_manager_sign_data{status="Unknown"}')).toBe(1);
  });
});

describe('measured updates of other trust domains’ bundles', () => {
  const trustDomain = parseTrustDomain('other.org');
  const relationship = { trustDomain } as FederationRelationship;
  const options = { force: false, signal: new AbortController().signal };
  const fetched = 'bundle_manager_fetch_federated_bundle{status="OK",trust_domain_id="other_org"}';
  const updated = 'bundle_manager_update_federated_bundle{trust_domain_id="other_org"}';

  it('count each fetch, and those that brought a new one', async () => {
    const { metrics, count } = createCounts();
    let changed = true;
    const update = measureUpdates(() => Promise.resolve({ bundle: emptyBundle(trustDomain), changed }), metrics);
    await update(relationship, options);
    changed = false;
    await update(relationship, options);
    expect(count(fetched)).toBe(2);
    expect(count(updated)).toBe(1);
  });

  it('count one that failed by its status, and give the failure on', async () => {
    const { metrics, count } = createCounts();
    const away: UpdateBundle = () => Promise.reject(new Error('nobody is there'));
    await expect(measureUpdates(away, metrics)(relationship, options)).rejects.toThrow('nobody is there');
    expect(count(fetched.replace('OK', 'Unknown'))).toBe(1);
    expect(count(updated)).toBeUndefined();
  });
});

describe('a measured rate limiter', () => {
  const context = { method: '/spire.api.server.svid.v1.SVID/NewJWTSVID' } as CallContext;

  it('counts who was let in, and who was not', async () => {
    const { metrics, count } = createCounts();
    const admit = (_context: CallContext, cost: number) =>
      cost > 1 ? Promise.reject(resourceExhausted('too much')) : Promise.resolve();
    const limiter = measureLimiter({ admit }, metrics);
    await limiter.admit(context, 1, 'rejecting request');
    await expect(limiter.admit(context, 2, 'rejecting request')).rejects.toThrow('too much');
    expect(count('rateLimit_svid_v1_svid_new_jwtsvid{status="OK"}')).toBe(1);
    expect(count('rateLimit_svid_v1_svid_new_jwtsvid{status="ResourceExhausted"}')).toBe(1);
  });
});

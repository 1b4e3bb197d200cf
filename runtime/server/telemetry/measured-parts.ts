// The parts that the server leans on, with their calls counted: the upstream authority, the key manager, the endpoints of other trust domains, the rate limits.
import { statusCode } from '../../rpc/status.ts';
import { createCallCounter, rpcCodeOf } from '../../telemetry/call-counter.ts';
import type { CallCounter } from '../../telemetry/call-counter.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import { rpcKey } from '../../telemetry/rpc-key.ts';
import type { RateLimiter } from '../api/rate-limit.ts';
import type { UpdateBundle } from '../federation/update-bundle.ts';
import type { KeyManager, ManagedKey } from '../keys/key-manager.ts';
import type { UpstreamAuthority } from '../upstream/upstream-authority.ts';

/** How long the upstream takes to sign our CA, failures included, in seconds. */
export function measureUpstream(upstream: UpstreamAuthority, metrics: Metrics): UpstreamAuthority {
  const minting = metrics.sample(['upstream_authority', 'mint_x509_ca', 'duration_seconds']);
  return {
    ...upstream,
    async mintX509Ca(csr, preferredTtlMs, signal) {
      const startedAt = metrics.now();
      try {
        return await upstream.mintX509Ca(csr, preferredTtlMs, signal);
      } finally {
        minting.observe((metrics.now() - startedAt) / 1000);
      }
    },
  };
}

/** A key counts what it signs too. */
export function measureKeys(keys: KeyManager, metrics: Metrics): KeyManager {
  const generating = createCallCounter(metrics, ['server_key_manager', 'generate_key']);
  const getting = createCallCounter(metrics, ['server_key_manager', 'get_public_key']);
  const listing = createCallCounter(metrics, ['server_key_manager', 'get_public_keys']);
  const signing = createCallCounter(metrics, ['server_key_manager', 'sign_data']);
  const timed = <T>(calls: typeof getting, act: () => T): T => {
    const startedAt = metrics.now();
    try {
      const result = act();
      calls.done(startedAt, statusCode.OK);
      return result;
    } catch (error) {
      calls.done(startedAt, rpcCodeOf(error));
      throw error;
    }
  };
  const measured = <K extends ManagedKey | undefined>(key: K): K =>
    key && { ...key, signer: { ...key.signer, sign: (data) => timed(signing, () => key.signer.sign(data)) } };
  return {
    generateKey: async (id, type) => measured(await generating.measure(() => keys.generateKey(id, type))),
    getKey: (id) => measured(timed(getting, () => keys.getKey(id))),
    listKeys: () => timed(listing, () => keys.listKeys()).map(measured),
  };
}

/** Fetches of other trust domains' bundles, and those that brought a new one. */
export function measureUpdates(update: UpdateBundle, metrics: Metrics): UpdateBundle {
  return async (relationship, options) => {
    const labels = { trust_domain_id: relationship.trustDomain.name };
    const fetching = createCallCounter(metrics, ['bundle_manager', 'fetch', 'federated_bundle'], labels);
    const updated = await fetching.measure(() => update(relationship, options));
    if (updated.changed) metrics.counter(['bundle_manager', 'update', 'federated_bundle'], labels).add();
    return updated;
  };
}

/** How long calls of each method wait for their tokens, and how many get none. */
export function measureLimiter(limiter: RateLimiter, metrics: Metrics): RateLimiter {
  const waiting = new Map<string, CallCounter>();
  const countsOf = (method: string): CallCounter => {
    const known = waiting.get(method);
    if (known !== undefined) return known;
    const [, ...name] = rpcKey(method);
    const counts = createCallCounter(metrics, ['rateLimit', ...name]);
    waiting.set(method, counts);
    return counts;
  };
  return {
    admit: (context, cost, what) => countsOf(context.method).measure(() => limiter.admit(context, cost, what)),
  };
}

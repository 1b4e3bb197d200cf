// The parts that the CA leans on, with their calls counted: the upstream authority and the key manager.
import { createCallCounter } from '../../telemetry/call-counter.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { KeyManager } from '../keys/key-manager.ts';
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

export function measureKeys(keys: KeyManager, metrics: Metrics): KeyManager {
  const generating = createCallCounter(metrics, ['server_key_manager', 'generate_key']);
  const getting = createCallCounter(metrics, ['server_key_manager', 'get_key']);
  const listing = createCallCounter(metrics, ['server_key_manager', 'get_keys']);
  const timed = <T>(calls: typeof getting, act: () => T): T => {
    const startedAt = metrics.now();
    const result = act();
    calls.done(startedAt, 0);
    return result;
  };
  return {
    generateKey: (id, type) => generating.measure(() => keys.generateKey(id, type)),
    getKey: (id) => timed(getting, () => keys.getKey(id)),
    listKeys: () => timed(listing, () => keys.listKeys()),
  };
}

// What the agent holds, as it is whenever the metrics are read.
import type { Metrics } from '../../telemetry/registry.ts';
import type { SvidCache } from '../cache/svid-cache.ts';
import type { AgentIdentity } from '../node/identity.ts';

export interface AgentGaugesOptions {
  readonly metrics: Metrics;
  readonly cache: Pick<SvidCache, 'svidCount' | 'entryCount' | 'bundleCount' | 'nextExpiry'>;
  readonly identity: Pick<AgentIdentity, 'svid'>;
  readonly clock: () => number;
}

export function addAgentGauges({ metrics, cache, identity, clock }: AgentGaugesOptions): void {
  const records = metrics.gauge(['lru_cache_record_map_size']);
  const svids = metrics.gauge(['lru_cache_svid_map_size']);
  const bundles = metrics.gauge(['sync_bundles_total']);
  const own = metrics.gauge(['svid', 'ttl_seconds'], { svid: 'agent' });
  // The one that ends first: an alert on it is an alert on any.
  const workload = metrics.gauge(['svid', 'ttl_seconds'], { svid: 'workload' });
  metrics.onRead(() => {
    records.set(cache.entryCount);
    svids.set(cache.svidCount);
    bundles.set(cache.bundleCount);
    const svid = identity.svid();
    if (svid !== undefined) own.set((svid.notAfter - clock()) / 1000);
    workload.set((cache.nextExpiry() - clock()) / 1000);
  });
}

// The metrics of one program: its registry as the configuration wants it, and what every program tells of itself.
import { hostname } from 'node:os';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { TelemetryConfig } from './config.ts';
import { createRegistry, sanitize } from './registry.ts';
import type { Registry } from './registry.ts';

export interface Program {
  readonly name: 'spire_server' | 'spire_agent';
  readonly version: string;
  readonly trustDomain: TrustDomain;
}

export function openMetrics(config: TelemetryConfig, { name, version, trustDomain }: Program): Registry {
  const registry = createRegistry({
    prefix: config.prefix === '' ? name : config.prefix,
    labels: {
      ...(config.trustDomainLabel ? sanitize({ trust_domain: trustDomain.name }) : {}),
      ...(config.hostnameLabel ? { host: hostname() } : {}),
    },
    allowedPrefixes: config.allowedPrefixes,
    blockedPrefixes: config.blockedPrefixes,
    allowedLabels: config.allowedLabels,
    blockedLabels: config.blockedLabels,
    now: () => performance.now(),
  });
  const startedAt = registry.now();
  registry.gauge(['started'], { version, trust_domain_id: trustDomain.name }).set(1);
  const uptime = registry.gauge(['uptime_in_ms']);
  // As near as this runtime comes to what Go's tells; there is no count of objects.
  const heap = registry.gauge(['runtime', 'alloc_bytes']);
  const resident = registry.gauge(['runtime', 'sys_bytes']);
  registry.onRead(() => {
    const { heapUsed, rss } = process.memoryUsage();
    uptime.set(registry.now() - startedAt);
    heap.set(heapUsed);
    resident.set(rss);
  });
  return registry;
}

// What a cluster's servers are made with and keep: by its digest an update sees that it wants something else.
import type { ClusterPlan } from '../plan.ts';
import { digest } from '../spec/resource-names.ts';
import type { TrustDomainSpec } from '../spec/trust-domain-spec.ts';

export const settingsAnnotation = 'espalier.io/settings';

export function settingsOfCluster({ keyType, ttl }: TrustDomainSpec, cluster: ClusterPlan): string {
  const { name, platform, servers, caTtl, image, storageClass, expose, workloads } = cluster;
  return digest(
    JSON.stringify([keyType, ttl, name, platform, servers, caTtl, image, storageClass ?? '', expose, workloads]),
  ).slice(0, 16);
}

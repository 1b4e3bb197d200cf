// The SPIFFE IDs of a specification's workloads, wherever they run.
import { workloadPath } from '../spec/identities.ts';
import type { Platform, TrustDomainSpec, WorkloadSpec } from '../spec/trust-domain-spec.ts';

export function workloadIdOf(spec: TrustDomainSpec, workload: WorkloadSpec): string {
  return `spiffe://${spec.trustDomain}${workloadPath(platformOf(spec, workload.segment), workload)}`;
}

function platformOf({ segments, clusters = [] }: TrustDomainSpec, place: string): Platform {
  const platform =
    segments.find(({ name }) => name === place)?.cloud ?? clusters.find(({ name }) => name === place)?.platform;
  if (platform === undefined) throw new Error(`no segment has the name ${JSON.stringify(place)}`);
  return platform;
}

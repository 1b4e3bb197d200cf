// Everything that a trust domain has in its clouds, as removals: the undo of a bootstrap and the acts of a tear-down are the same.
import type { ClusterPlan, InstanceRole, SegmentPlan, ServerPool } from '../../activities/plan.ts';
import type { Cloud, TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import { onCloud, onCluster, onControl } from './calls.ts';
import type { Removal } from './saga.ts';

export function whereOf({ trustDomain, infrastructure }: TrustDomainSpec) {
  return { trustDomain, infrastructure };
}

export function instanceRemoval(spec: TrustDomainSpec, cloud: Cloud, region: string, name: string): Removal {
  return {
    name: `${cloud} instance ${name}`,
    run: () => onCloud(cloud, 'removal').removeInstance({ ...whereOf(spec), region, name }),
  };
}

export function serverRemovals(spec: TrustDomainSpec, { cloud, region, servers }: ServerPool): Removal[] {
  return servers.map((name) => instanceRemoval(spec, cloud, region, name));
}

export function nodeRemovals(spec: TrustDomainSpec, segment: SegmentPlan): Removal[] {
  return segment.nodes.map((name) => instanceRemoval(spec, segment.cloud, segment.region, name));
}

export function identityRemoval(spec: TrustDomainSpec, cloud: Cloud, role: InstanceRole): Removal {
  return {
    name: `${cloud} identity ${role}`,
    run: () => onCloud(cloud, 'removal').removeInstanceIdentity({ ...whereOf(spec), role }),
  };
}

export function federatedRoleRemoval(spec: TrustDomainSpec): Removal {
  return { name: 'aws role for the upstream', run: () => onCloud('aws', 'removal').removeFederatedRole(whereOf(spec)) };
}

export function datastoreRemoval(spec: TrustDomainSpec, { cloud, name, region }: ServerPool): Removal {
  return {
    name: `${cloud} database and secret of ${name}`,
    run: () => onCloud(cloud, 'removal').removeDatastore({ ...whereOf(spec), pool: name, region }),
  };
}

/** None where the root is the servers' own. */
export function authorityRemovals(spec: TrustDomainSpec, { cloud, authority, region }: ServerPool): Removal[] {
  if (authority === undefined) return [];
  const run = () => onCloud(cloud, 'removal').removeUpstreamAuthority({ ...whereOf(spec), region });
  return [{ name: `${cloud} secrets of the upstream authority`, run }];
}

export function networkRemoval(spec: TrustDomainSpec, cloud: Cloud, region: string): Removal {
  return {
    name: `${cloud} network rules in ${region}`,
    run: () => onCloud(cloud, 'removal').removeNetwork({ ...whereOf(spec), region }),
  };
}

/** `owner`: what that run made and nothing else. */
export function clusterRemoval({ trustDomain }: TrustDomainSpec, cluster: ClusterPlan, owner?: string): Removal {
  const input = { trustDomain, cluster, ...(owner === undefined ? {} : { owner }) };
  return { name: `cluster ${cluster.name}`, run: () => onCluster('removal').removeCluster(input) };
}

export function workerIdentityRemoval({ trustDomain }: TrustDomainSpec): Removal {
  return { name: "the worker's agent and key", run: () => onControl('removal').removeWorkerIdentity({ trustDomain }) };
}

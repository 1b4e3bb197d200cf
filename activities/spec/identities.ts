// The SPIFFE IDs and names that a specification implies. Pure: paths follow `/<environment>/<platform>/<team>/<workload>`,
// where the platform is the cloud, never Kubernetes or VM.
import type { Cloud, WorkloadSpec } from './trust-domain-spec.ts';

export function workloadPath(cloud: Cloud, workload: Pick<WorkloadSpec, 'environment' | 'team' | 'name'>): string {
  return `/${workload.environment}/${cloud}/${workload.team}/${workload.name}`;
}

/** The control plane's own identity: listed in `admin_ids` of every server. */
export const workerPath = '/prod/onprem/platform/temporal-worker';

/** The identity of a downstream server towards its upstream. */
export function downstreamServerPath(cloud: Cloud, segment: string): string {
  return `/prod/${cloud}/platform/spire-server-${segment}`;
}

/** The node alias of a segment: all of its nodes, whatever their number; the segment's workloads hang on it. */
export function nodeAliasPath(cloud: Cloud, segment: string): string {
  return `/prod/${cloud}/platform/spire-nodes-${segment}`;
}

/** The program whose path attests a SPIRE server to the agent on its own node. */
export const serverProgram = '/opt/espalier/bin/spire-server';

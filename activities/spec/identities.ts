// The SPIFFE IDs and names that a specification implies. Pure: paths follow `/<environment>/<platform>/<team>/<workload>`,
// where the platform is the cloud or the ground it stands on, never Kubernetes or VM.
import type { Platform, WorkloadSpec } from './trust-domain-spec.ts';

export function workloadPath(
  platform: Platform,
  workload: Pick<WorkloadSpec, 'environment' | 'team' | 'name'>,
): string {
  return `/${workload.environment}/${platform}/${workload.team}/${workload.name}`;
}

/** The control plane's own identity: listed in `admin_ids` of every server. */
export const workerPath = '/prod/onprem/platform/temporal-worker';

/** The identity of a downstream server towards its upstream. */
export function downstreamServerPath(platform: Platform, place: string): string {
  return `/prod/${platform}/platform/spire-server-${place}`;
}

/** The node alias of a segment or cluster: all of its nodes, whatever their number; its workloads hang on it. */
export function nodeAliasPath(platform: Platform, place: string): string {
  return `/prod/${platform}/platform/spire-nodes-${place}`;
}

/** The program whose path attests a SPIRE server to the agent on its own node. */
export const serverProgram = '/opt/espalier/bin/spire-server';

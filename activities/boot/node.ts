// Boot script of a workload node: an agent of the segment's server, and the demonstration workloads that the specification places there.
import type { Artifact } from '../plan.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';
import { agentSocket, bootAgent } from './agent.ts';
import { prelude, startUnit } from './shell.ts';

export interface NodeWorkload {
  readonly name: string;
  readonly port: number;
  /** SPIFFE IDs that the workload accepts as its peers. */
  readonly peers: readonly string[];
  /** SPIFFE IDs that may ask it for proof. */
  readonly operators: readonly string[];
}

export interface NodeBoot {
  readonly name: string;
  readonly cloud: Cloud;
  readonly trustDomain: string;
  readonly artifact: Artifact;
  readonly serverAddress: string;
  readonly bundlePem: string;
  readonly workloads: readonly NodeWorkload[];
}

export function nodeBootScript(boot: NodeBoot): string {
  return [
    prelude(`workload node ${boot.name} of ${boot.trustDomain}`, boot.cloud, boot.artifact),
    bootAgent(boot),
    ...boot.workloads.map(startWorkload),
    '',
  ].join('\n\n');
}

function startWorkload(workload: NodeWorkload): string {
  return `program "$IMAGE/opt/demo/${workload.name}"
${startUnit({
  name: workload.name,
  description: `demonstration workload ${workload.name}`,
  environment: {
    SPIFFE_ENDPOINT_SOCKET: `unix://${agentSocket}`,
    WORKLOAD_LISTEN: `$ADDRESS:${workload.port}`,
    WORKLOAD_CONTROL: `$ADDRESS:${workload.port + 1}`,
    WORKLOAD_PEERS: workload.peers.join(','),
    WORKLOAD_OPERATORS: workload.operators.join(','),
  },
  execStart: `$IMAGE/opt/demo/${workload.name} $HERE/runtime/demo/workload.ts`,
})}
say "workload ${workload.name} started"`;
}

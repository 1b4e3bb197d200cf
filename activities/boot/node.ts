// Boot script of a workload node: an agent of the segment's server, and the demonstration workloads that the specification places there.
import type { Artifact } from '../plan.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';
import { agentSocket } from './agent.ts';
import { agentRelease, startRelease } from './agent-release.ts';
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
  const { name, cloud, trustDomain, artifact } = boot;
  return [
    `#!/bin/sh\n# workload node ${name} of ${trustDomain}. Written by Espalier; safe to run at every boot.\nset -eu\numask 022`,
    startRelease(agentRelease(boot)),
    ...(cloud === 'gcp' || boot.workloads.length > 0 ? [prelude(`programs of ${name}`, cloud, artifact)] : []),
    ...(cloud === 'gcp' ? [followInstructions] : []),
    ...boot.workloads.map(startWorkload),
    '',
  ].join('\n\n');
}

/** What AWS's own agent does on its instances: runs what the owner of the project sends to a running one. */
const followInstructions = startUnit({
  name: 'espalier-instructions',
  description: 'Instructions from the instance metadata',
  execStart: '$HERE/bin/espalier-node instructions --cloud gcp --directory $ROOT/var/lib/espalier',
});

/** For a node that runs: its programs as they are to be, and those stopped that are not to be any more. */
export function placeWorkloadsScript(
  boot: Pick<NodeBoot, 'name' | 'cloud' | 'trustDomain' | 'artifact' | 'workloads'> & {
    readonly stop: readonly string[];
  },
): string {
  const { name, cloud, artifact, workloads, stop } = boot;
  return [
    prelude(`programs of ${name}`, cloud, artifact),
    ...stop.map(stopWorkload),
    ...workloads.map(startWorkload),
    '',
  ].join('\n\n');
}

function stopWorkload(name: string): string {
  const unit = `$ROOT/etc/systemd/system/${name}.service`;
  return `if [ -e "${unit}" ]; then
  systemctl stop ${name}
  rm -f "${unit}" "$ROOT/etc/systemd/system/multi-user.target.wants/${name}.service"
  systemctl daemon-reload
  say "workload ${name} stopped"
fi`;
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

// Nodes in Google Cloud that run an agent: machines in a group, or a cluster of GKE. Attesting needs no role at all.
import { reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import type { NodePoolSpec } from '../../specs.ts';
import { gcpGroup } from '../gcp-group.ts';
import { gcpIdentity } from '../gcp-identity.ts';
import { buildGke } from './gke.ts';

export function buildGcpNodePool(scope: Scope, spec: NodePoolSpec): Built {
  if (spec.platform === 'kubernetes') return buildGke(scope, spec);
  return {
    resources: [
      ...gcpIdentity(scope, spec.project, []),
      ...gcpGroup(scope, {
        ...spec,
        project: spec.project,
        network: spec.networkRef.name,
        role: 'node',
        count: spec.nodes,
        image: spec.image ?? '',
        machineType: spec.machineType,
        bootScript: spec.bootScript,
      }),
    ],
    status: {
      instanceGroup: reported(scope, 'instance-group', 'instanceGroup'),
      identity: reported(scope, 'identity', 'email'),
    },
    waitingFor: [],
  };
}

// Nodes in Azure that run an agent: machines in a group, with an identity that may do nothing.
import { reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import type { NodePoolSpec } from '../../specs.ts';
import { azureGroup } from '../azure-group.ts';

export function buildAzureNodePool(scope: Scope, spec: NodePoolSpec): Built {
  return {
    resources: azureGroup(scope, {
      ...spec,
      subscription: spec.subscription ?? '',
      sshPublicKey: spec.sshPublicKey ?? '',
      network: spec.networkRef.name,
      role: 'node',
      count: spec.nodes,
      image: spec.image ?? '',
      machineType: spec.machineType,
      bootScript: spec.bootScript,
      secrets: [],
      vaultId: undefined,
    }),
    status: {
      instanceGroup: reported(scope, 'instance-group', 'id'),
      identity: reported(scope, 'identity', 'id'),
    },
    waitingFor: [],
  };
}

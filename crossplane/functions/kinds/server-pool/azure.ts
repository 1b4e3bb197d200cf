// SPIRE servers in Azure: their identity and a group of machines. No load balancer stands before them, and no right to look machines up is theirs:
// there is no attestor of Azure's nodes that would use it.
import { reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import type { ServerPoolSpec } from '../../specs.ts';
import { azureGroup } from '../azure-group.ts';
import { principalOf } from '../azure-identity.ts';

export function buildAzureServerPool(scope: Scope, spec: ServerPoolSpec): Built {
  const { secrets } = spec;
  const isGranted = secrets.length === 0 || principalOf(scope, secrets) !== undefined;
  return {
    resources: azureGroup(scope, {
      ...spec,
      subscription: spec.subscription ?? '',
      sshPublicKey: spec.sshPublicKey ?? '',
      network: spec.networkRef.name,
      role: 'server',
      count: spec.servers,
      machineType: spec.machineType,
      bootScript: spec.bootScript,
      vaultId: spec.vaultId,
    }),
    status: {
      instanceGroup: reported(scope, 'instance-group', 'id'),
      identity: reported(scope, 'identity', 'id'),
      secrets,
    },
    waitingFor: isGranted ? [] : ['the principal of the identity'],
  };
}

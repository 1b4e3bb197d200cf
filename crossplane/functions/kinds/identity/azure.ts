// Whom machines of one role are in Azure: a managed identity in a resource group of its own, which may read its own secrets.
import { partName } from '../../../../activities/spec/resource-names.ts';
import { known, partLabel, reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart } from '../../parts.ts';
import type { IdentitySpec } from '../../specs.ts';
import { ownGroup } from '../azure-ids.ts';
import { azureIdentity, principalOf } from '../azure-identity.ts';

export function buildAzureIdentity(scope: Scope, spec: IdentitySpec): Built {
  const { trustDomain, role, secrets, vaultId, region: location = '' } = spec;
  const subject = principalOf(scope, secrets);
  const group = managedResource(scope, {
    name: 'resource-group',
    group: 'azure',
    kind: 'ResourceGroup',
    labels: { [partLabel]: 'resource-group' },
    externalName: ownGroup(scope, 'identity'),
    forProvider: { location, tags: { 'trust-domain': trustDomain } },
  });
  const identity = azureIdentity(scope, {
    name: partName(trustDomain, role),
    location,
    resourceGroup: ownPart('resource-group'),
    trustDomain,
    secrets,
    vaultId,
  });
  return {
    resources: [group, ...identity],
    status: known({ reference: reported(scope, 'identity', 'id'), subject }),
    waitingFor: subject === undefined ? ['the principal of the identity'] : [],
  };
}

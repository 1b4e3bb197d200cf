// A machine's identity in Azure: a managed one of its own, which may read the secrets that are named and nothing else. A grant is to a principal that Azure
// makes up, so it can only be made once that is reported.
import { partLabel, reported } from '../composed.ts';
import type { Composed, Json, Scope } from '../composed.ts';
import { managedResource } from '../managed-resource.ts';

export interface AzureIdentity {
  readonly name: string;
  readonly location: string;
  /** How its resource group is found. */
  readonly resourceGroup: Json;
  readonly trustDomain: string;
  readonly secrets: readonly string[];
  /** Of the Key Vault that has them. */
  readonly vaultId: string | undefined;
}

const grantOf = (secret: string): string => `grant-secret-${secret}`;

export function azureIdentity(scope: Scope, identity: AzureIdentity): Composed[] {
  const { name, location, resourceGroup, trustDomain, secrets, vaultId } = identity;
  const principalId = principalOf(scope, secrets);
  return [
    managedResource(scope, {
      name: 'identity',
      group: 'managedidentity.azure',
      kind: 'UserAssignedIdentity',
      labels: { [partLabel]: 'identity' },
      externalName: name,
      forProvider: {
        name,
        location,
        resourceGroupNameSelector: resourceGroup,
        tags: { 'trust-domain': trustDomain },
      },
    }),
    ...(principalId === undefined ? [] : secrets).map((secret) =>
      managedResource(scope, {
        name: grantOf(secret),
        group: 'authorization.azure',
        kind: 'RoleAssignment',
        forProvider: {
          principalId,
          principalType: 'ServicePrincipal',
          roleDefinitionName: 'Key Vault Secrets User',
          scope: `${vaultId ?? ''}/secrets/${secret}`,
        },
      }),
    ),
  ];
}

/** As the identity reports it, or a grant that stands: what is not reported for a moment must not cost the grants. */
export function principalOf(scope: Scope, secrets: readonly string[]): unknown {
  return ['identity', ...secrets.map(grantOf)]
    .map((part) => reported(scope, part, 'principalId'))
    .find((principal) => principal !== undefined);
}

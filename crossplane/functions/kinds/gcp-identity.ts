// A machine's identity in Google Cloud: a service account of its own, and no role that is not listed.
import { partLabel, shortName } from '../composed.ts';
import type { Composed, Json, Scope } from '../composed.ts';
import { managedResource } from '../managed-resource.ts';

export interface Grant {
  readonly name: string;
  readonly role: string;
  /** Narrows the role, where it would reach further than it must. */
  readonly condition?: Json;
}

/** Reading one secret, and no other: there is no narrower resource to be given it on. */
export function readsSecret(name: string): Grant {
  return {
    name: `secret-${name}`,
    role: 'roles/secretmanager.secretAccessor',
    condition: {
      title: 'one secret',
      expression: `resource.name.extract("/secrets/{secret}/versions/") == "${name}"`,
    },
  };
}

export function gcpIdentity(
  scope: Scope,
  project: string | undefined,
  grants: readonly Grant[],
  account = shortName(scope, 'identity'),
): Composed[] {
  return [
    managedResource(scope, {
      name: 'identity',
      group: 'cloudplatform.gcp',
      kind: 'ServiceAccount',
      labels: { [partLabel]: 'identity' },
      externalName: account,
      forProvider: { project, displayName: `machines of ${scope.name}` },
    }),
    ...grants.map(({ name, role, condition }) =>
      managedResource(scope, {
        name: `grant-${name}`,
        group: 'cloudplatform.gcp',
        kind: 'ProjectIAMMember',
        forProvider: {
          project,
          role,
          member: `serviceAccount:${account}@${project ?? ''}.iam.gserviceaccount.com`,
          ...(condition === undefined ? {} : { condition }),
        },
      }),
    ),
  ];
}

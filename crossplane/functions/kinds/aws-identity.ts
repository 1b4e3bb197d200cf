// A machine's identity in AWS: a role that only the named one may take, and no right that is not listed.
import { partLabel, shortName } from '../composed.ts';
import type { Composed, Json, Scope } from '../composed.ts';
import { managedResource } from '../managed-resource.ts';
import { ownPart } from '../parts.ts';

export interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

/** A service by its name, or what else a trust policy takes. */
type Taker = string | { readonly Principal: Json; readonly Action: string; readonly Condition: Json };

export function awsRole(
  scope: Scope,
  part: string,
  taker: Taker,
  statements: readonly Statement[],
  externalName = shortName(scope, part),
): Composed[] {
  const trust = typeof taker === 'string' ? { Principal: { Service: taker }, Action: 'sts:AssumeRole' } : taker;
  const policy = statements.map(({ actions, resources }) => ({
    Effect: 'Allow',
    Action: actions,
    Resource: resources,
  }));
  return [
    managedResource(scope, {
      name: part,
      group: 'iam.aws',
      kind: 'Role',
      labels: { [partLabel]: part },
      externalName,
      forProvider: { assumeRolePolicy: document([{ Effect: 'Allow', ...trust }]) },
    }),
    ...(policy.length === 0
      ? []
      : [
          managedResource(scope, {
            name: `${part}-policy`,
            group: 'iam.aws',
            kind: 'RolePolicy',
            forProvider: { roleSelector: ownPart(part), policy: document(policy) },
          }),
        ]),
  ];
}

export function awsInstanceProfile(scope: Scope, role: string, externalName = shortName(scope, role)): Composed {
  return managedResource(scope, {
    name: 'instance-profile',
    group: 'iam.aws',
    kind: 'InstanceProfile',
    labels: { [partLabel]: 'instance-profile' },
    externalName,
    forProvider: { roleSelector: ownPart(role) },
  });
}

/** A policy of AWS' own, where its service asks for exactly that one. */
export function awsAttachment(scope: Scope, role: string, policy: string): Composed {
  return managedResource(scope, {
    name: `${role}-${policy}`,
    group: 'iam.aws',
    kind: 'RolePolicyAttachment',
    forProvider: { roleSelector: ownPart(role), policyArn: `arn:aws:iam::aws:policy/${policy}` },
  });
}

function document(statements: readonly object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

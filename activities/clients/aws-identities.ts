// IAM for one trust domain: a role and an instance profile for each kind of instance, and the role that another cloud's server assumes.
import type { IAMClient } from '@aws-sdk/client-iam';
import type { CloudClient, CloudResource, InstanceRights } from '../cloud.ts';
import { stem } from '../cloud.ts';
import { takeCommandsActions } from '../spec/node-rights.ts';
import type { AwsSettings } from './aws.ts';
import { clientSettings } from './aws.ts';
import { errorName } from './aws-errors.ts';

type Identities = Pick<
  CloudClient,
  'ensureInstanceIdentity' | 'removeInstanceIdentity' | 'ensureFederatedRole' | 'removeFederatedRole'
> & {
  listIdentities(trustDomain: string): Promise<CloudResource[]>;
  /** Without what comes before them in the names. */
  listRoles(trustDomain: string): Promise<string[]>;
};

const policyName = 'espalier';
const federatedRole = 'attestor';
const describe = { Effect: 'Allow', Action: ['ec2:DescribeInstances', 'iam:GetInstanceProfile'], Resource: '*' };

const beManaged = { Effect: 'Allow', Action: takeCommandsActions, Resource: '*' };

export function createAwsIdentities(settings: AwsSettings): Identities {
  let connected: Promise<{ iam: IAMClient; sdk: typeof import('@aws-sdk/client-iam') }> | undefined;
  const connect = () =>
    (connected ??= import('@aws-sdk/client-iam').then((sdk) => ({
      sdk,
      iam: new sdk.IAMClient(clientSettings(settings)),
    })));

  async function ensureRole(name: string, trust: object, statements: readonly object[]): Promise<string> {
    const { iam, sdk } = await connect();
    await ignoring('EntityAlreadyExistsException', () =>
      iam.send(new sdk.CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: policy([trust]) })),
    );
    await iam.send(new sdk.UpdateAssumeRolePolicyCommand({ RoleName: name, PolicyDocument: policy([trust]) }));
    if (statements.length > 0) {
      await iam.send(
        new sdk.PutRolePolicyCommand({ RoleName: name, PolicyName: policyName, PolicyDocument: policy(statements) }),
      );
    }
    return `arn:aws:iam::${settings.account}:role/${name}`;
  }

  async function removeRole(name: string): Promise<void> {
    const { iam, sdk } = await connect();
    await ignoring('NoSuchEntityException', () =>
      iam.send(new sdk.DeleteRolePolicyCommand({ RoleName: name, PolicyName: policyName })),
    );
    await ignoring('NoSuchEntityException', () => iam.send(new sdk.DeleteRoleCommand({ RoleName: name })));
  }

  return {
    async ensureInstanceIdentity({ trustDomain, role, rights }) {
      const { iam, sdk } = await connect();
      const name = `${stem(trustDomain)}-${role}`;
      await ensureRole(
        name,
        { Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' },
        statementsOf(settings, rights),
      );
      await ignoring('EntityAlreadyExistsException', () =>
        iam.send(new sdk.CreateInstanceProfileCommand({ InstanceProfileName: name })),
      );
      await ignoring('LimitExceededException', () =>
        iam.send(new sdk.AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: name })),
      );
      return { reference: name, subject: undefined };
    },

    async removeInstanceIdentity({ trustDomain, role }) {
      const { iam, sdk } = await connect();
      const name = `${stem(trustDomain)}-${role}`;
      await ignoring('NoSuchEntityException', () =>
        iam.send(new sdk.RemoveRoleFromInstanceProfileCommand({ InstanceProfileName: name, RoleName: name })),
      );
      await ignoring('NoSuchEntityException', () =>
        iam.send(new sdk.DeleteInstanceProfileCommand({ InstanceProfileName: name })),
      );
      await removeRole(name);
    },

    ensureFederatedRole({ trustDomain, subject, audience }) {
      const trust = {
        Effect: 'Allow',
        Principal: { Federated: 'accounts.google.com' },
        Action: 'sts:AssumeRoleWithWebIdentity',
        // AWS reads `aud` from the token's azp and `oaud` from its aud, for Google's tokens.
        Condition: { StringEquals: { 'accounts.google.com:sub': subject, 'accounts.google.com:oaud': audience } },
      };
      return ensureRole(`${stem(trustDomain)}-${federatedRole}`, trust, [describe]);
    },

    removeFederatedRole({ trustDomain }) {
      return removeRole(`${stem(trustDomain)}-${federatedRole}`);
    },

    async listIdentities(trustDomain) {
      const roles = await listRoles(trustDomain);
      return roles.map((role) => ({ kind: 'identity', name: `${stem(trustDomain)}-${role}`, owner: undefined }));
    },
    listRoles,
  };

  async function listRoles(trustDomain: string): Promise<string[]> {
    const { iam, sdk } = await connect();
    const names: string[] = [];
    for await (const page of sdk.paginateListRoles({ client: iam }, {})) {
      names.push(...(page.Roles ?? []).flatMap((role) => role.RoleName ?? []));
    }
    const prefix = `${stem(trustDomain)}-`;
    return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  }
}

function statementsOf(settings: AwsSettings, rights: InstanceRights): object[] {
  const secrets = rights.secrets.map((name) => `arn:aws:secretsmanager:*:${settings.account}:secret:${name}-*`);
  return [
    ...(secrets.length === 0
      ? []
      : [{ Effect: 'Allow', Action: ['secretsmanager:GetSecretValue'], Resource: secrets }]),
    ...(rights.describeInstances ? [describe] : []),
    ...(rights.takesCommands === true ? [beManaged] : []),
  ];
}

function policy(statements: readonly object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

/** Content when the thing is as it should be already. */
async function ignoring(code: string, act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    if (errorName(cause) !== code) throw cause;
  }
}

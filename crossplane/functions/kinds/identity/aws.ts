// Whom machines of one role are in AWS: a role under the name that attestation looks for, and the instance profile that gives it to machines; or a
// role that an identity of Google Cloud takes.
import { takeCommandsActions } from '../../../../activities/spec/node-rights.ts';
import { partName } from '../../../../activities/spec/resource-names.ts';
import { known, reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import type { IdentitySpec } from '../../specs.ts';
import { awsInstanceProfile, awsRole } from '../aws-identity.ts';
import type { Statement } from '../aws-identity.ts';

export function buildAwsIdentity(scope: Scope, spec: IdentitySpec): Built {
  const { trustDomain, role, webIdentity } = spec;
  const name = partName(trustDomain, role);
  const arn = reported(scope, 'role', 'arn');
  const taker = webIdentity === undefined ? 'ec2.amazonaws.com' : webTaker(webIdentity);
  return {
    resources: [
      ...awsRole(scope, 'role', taker, rightsOf(spec), name),
      ...(webIdentity === undefined ? [awsInstanceProfile(scope, 'role', name)] : []),
    ],
    status: known({ reference: name, roleArn: arn }),
    waitingFor: arn === undefined ? ['the ARN of the role'] : [],
  };
}

/** AWS reads `aud` from the token's azp and `oaud` from its aud, for Google's tokens. */
function webTaker({ subject, audience }: NonNullable<IdentitySpec['webIdentity']>) {
  return {
    Principal: { Federated: 'accounts.google.com' },
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: { StringEquals: { 'accounts.google.com:sub': subject, 'accounts.google.com:oaud': audience } },
  };
}

/** Secrets are kept by region, and an identity has none. Secrets Manager ends each ARN with a dash and six characters of its own. */
function rightsOf({ secrets, account, describesInstances, takesCommands }: IdentitySpec): Statement[] {
  const arns = secrets.map((name) => `arn:aws:secretsmanager:*:${account ?? ''}:secret:${name}-??????`);
  return [
    ...(arns.length === 0 ? [] : [{ actions: ['secretsmanager:GetSecretValue'], resources: arns }]),
    ...(describesInstances ? [{ actions: ['ec2:DescribeInstances', 'iam:GetInstanceProfile'], resources: ['*'] }] : []),
    ...(takesCommands ? [{ actions: takeCommandsActions, resources: ['*'] }] : []),
  ];
}

// Secrets Manager as far as instances need it: one current value for each secret, read by whom a policy allows.
import { randomUUID } from 'node:crypto';
import { AwsError } from './errors.ts';
import type { AwsCall, JsonAction } from './front-door.ts';
import { optionalText, text } from './json-input.ts';
import type { Input } from './json-input.ts';
import { authorize } from './principals.ts';
import { paginate } from './query.ts';
import { account, randomName } from './state.ts';
import type { AwsSecret } from './state.ts';

export const secretsManager: Readonly<Record<string, JsonAction>> = {
  CreateSecret(call, input) {
    const name = text(input, 'Name');
    if (!/^[\w/+=.@-]{1,512}$/.test(name))
      throw new AwsError('ValidationException', `not a name for a secret: ${name}`);
    const arn = `arn:aws:secretsmanager:${call.region}:${account}:secret:${name}-${randomName(6)}`;
    authorize(call.principal, 'secretsmanager:CreateSecret', arn);
    const { aws } = call.context.state;
    const token = optionalText(input, 'ClientRequestToken') ?? randomUUID();
    const existing = aws.secrets.find((secret) => secret.name === name && secret.region === call.region);
    const value = text(input, 'SecretString');
    if (existing !== undefined) {
      // The same request again, by its token: answered as the first was.
      if (existing.versionId === token && existing.value === value)
        return { ARN: existing.arn, Name: name, VersionId: token };
      throw new AwsError('ResourceExistsException', `the secret ${name} already exists`);
    }
    const secret: AwsSecret = {
      region: call.region,
      name,
      arn,
      createdAt: call.context.clock(),
      value,
      versionId: token,
      tags: readTags(input),
    };
    aws.secrets.push(secret);
    call.context.save();
    return { ARN: arn, Name: name, VersionId: token };
  },

  DescribeSecret(call, input) {
    return describe(secretFor(call, input, 'secretsmanager:DescribeSecret'));
  },

  GetSecretValue(call, input) {
    const secret = secretFor(call, input, 'secretsmanager:GetSecretValue');
    return {
      ARN: secret.arn,
      Name: secret.name,
      VersionId: secret.versionId,
      SecretString: secret.value,
      VersionStages: ['AWSCURRENT'],
      CreatedDate: secret.createdAt / 1000,
    };
  },

  PutSecretValue(call, input) {
    const secret = secretFor(call, input, 'secretsmanager:PutSecretValue');
    secret.value = text(input, 'SecretString');
    secret.versionId = optionalText(input, 'ClientRequestToken') ?? randomUUID();
    call.context.save();
    return { ARN: secret.arn, Name: secret.name, VersionId: secret.versionId, VersionStages: ['AWSCURRENT'] };
  },

  DeleteSecret(call, input) {
    const secret = secretFor(call, input, 'secretsmanager:DeleteSecret');
    if (input['ForceDeleteWithoutRecovery'] !== true) {
      throw new AwsError(
        'InvalidRequestException',
        'the lab deletes secrets at once only: ForceDeleteWithoutRecovery must be true',
      );
    }
    const { aws } = call.context.state;
    aws.secrets = aws.secrets.filter((other) => other !== secret);
    call.context.save();
    return { ARN: secret.arn, Name: secret.name, DeletionDate: call.context.clock() / 1000 };
  },

  ListSecrets(call, input) {
    authorize(call.principal, 'secretsmanager:ListSecrets', '*');
    const here = call.context.state.aws.secrets.filter(({ region }) => region === call.region);
    const { page, next } = paginate(here, optionalText(input, 'NextToken'), Number(input['MaxResults'] ?? 100));
    return { SecretList: page.map(describe), ...(next === undefined ? {} : { NextToken: next }) };
  },
};

function secretFor(call: AwsCall, input: Input, action: string): AwsSecret {
  const id = text(input, 'SecretId');
  const secret = call.context.state.aws.secrets.find(
    ({ region, name, arn }) => region === call.region && (name === id || arn === id),
  );
  // Who may not read learns nothing about what exists.
  authorize(
    call.principal,
    action,
    secret?.arn ?? `arn:aws:secretsmanager:${call.region}:${account}:secret:${id}-??????`,
  );
  if (secret === undefined)
    throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
  return secret;
}

function describe(secret: AwsSecret) {
  return {
    ARN: secret.arn,
    Name: secret.name,
    CreatedDate: secret.createdAt / 1000,
    Tags: secret.tags.map(({ key, value }) => ({ Key: key, Value: value })),
    VersionIdsToStages: { [secret.versionId]: ['AWSCURRENT'] },
  };
}

function readTags(input: Input): { key: string; value: string }[] {
  const tags = input['Tags'];
  if (tags === undefined) return [];
  if (!Array.isArray(tags)) throw new AwsError('ValidationException', 'Tags must be a list');
  return (tags as { Key?: unknown; Value?: unknown }[]).map(({ Key, Value }) => ({
    key: String(Key),
    value: String(Value),
  }));
}

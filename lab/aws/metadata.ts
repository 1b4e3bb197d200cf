// The instance metadata service, version 2: a token first, by PUT, from nobody that forwards for another; then what the instance is.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
import type { LabContext } from '../context.ts';
import type { Handler, LabRequest, LabResponse } from '../http.ts';
import { header, text } from '../http.ts';
import { identityDocument, signRsa1024, signRsa2048 } from './instance-identity.ts';
import { createSession } from './principals.ts';
import { account, instanceProfileArn } from './state.ts';
import type { AwsRole, Ec2Instance } from './state.ts';

const longestToken = 21_600;
const credentialLifetime = 6 * 3600_000;

export function createAwsMetadata(context: LabContext, instance: Ec2Instance): Handler {
  return (request) => {
    if (instance.metadataOptions.endpoint === 'disabled') return text(403, 'the metadata endpoint is disabled\n');
    if (request.path === '/latest/api/token')
      return request.method === 'PUT' ? giveToken(context, instance, request) : text(405, 'Method Not Allowed\n');
    if (request.method !== 'GET') return text(405, 'Method Not Allowed\n');
    const token = header(request, 'x-aws-ec2-metadata-token');
    if (token === undefined ? instance.metadataOptions.httpTokens === 'required' : !isToken(context, instance, token)) {
      return text(401, 'Unauthorized\n');
    }
    const found = answer(context, instance, request.path.replace(/^\/latest\//, '').replace(/\/+$/, ''));
    return found === undefined ? text(404, 'Not Found\n') : text(200, found);
  };
}

function giveToken(context: LabContext, instance: Ec2Instance, request: LabRequest): LabResponse {
  // A request that came through a proxy is not the instance's own.
  if (header(request, 'x-forwarded-for') !== undefined) return text(403, 'Forbidden\n');
  const asked = header(request, 'x-aws-ec2-metadata-token-ttl-seconds');
  const seconds = asked !== undefined && /^\d{1,5}$/.test(asked) ? Number(asked) : 0;
  if (seconds < 1 || seconds > longestToken) return text(400, 'Bad Request\n');
  const token = context.seals.seal('imds', { instance: instance.id, expiresAt: context.clock() + seconds * 1000 });
  return text(200, token, { 'x-aws-ec2-metadata-token-ttl-seconds': String(seconds) });
}

function isToken(context: LabContext, instance: Ec2Instance, token: string): boolean {
  const opened = context.seals.open('imds', token);
  return opened?.['instance'] === instance.id && Number(opened['expiresAt']) > context.clock();
}

function answer(context: LabContext, instance: Ec2Instance, path: string): string | undefined {
  if (path === 'user-data') return instance.machine.bootScript === '' ? undefined : instance.machine.bootScript;
  if (path.startsWith('dynamic/instance-identity'))
    return identity(context, instance, path.slice('dynamic/instance-identity'.length).replace(/^\//, ''));
  if (path !== 'meta-data' && !path.startsWith('meta-data/'))
    return path === '' ? 'dynamic\nmeta-data\nuser-data' : undefined;
  const values = metadataValues(context, instance);
  const key = path.slice('meta-data/'.length);
  return values[key] ?? listing(Object.keys(values), key);
}

function identity(context: LabContext, instance: Ec2Instance, name: string): string | undefined {
  const signer = context.state.aws.signers[instance.region];
  if (signer === undefined) return undefined;
  const document = identityDocument(instance);
  switch (name) {
    case '':
      return 'document\nrsa2048\nsignature';
    case 'document':
      return document;
    case 'rsa2048':
      return signRsa2048(signer, document, context.clock());
    case 'signature':
      return signRsa1024(signer, document);
    default:
      return undefined;
  }
}

function metadataValues(context: LabContext, instance: Ec2Instance): Readonly<Record<string, string>> {
  const host = `ip-${instance.machine.address.replaceAll('.', '-')}.ec2.internal`;
  const groups = context.state.aws.securityGroups
    .filter(({ id }) => instance.groupIds.includes(id))
    .map(({ name }) => name);
  const role = roleOf(context, instance);
  return {
    'ami-id': instance.imageId,
    hostname: host,
    'instance-id': instance.id,
    'instance-type': instance.instanceType,
    'local-hostname': host,
    'local-ipv4': instance.machine.address,
    mac: macOf(instance),
    'placement/availability-zone': instance.zone,
    'placement/region': instance.region,
    'security-groups': groups.join('\n'),
    'services/domain': 'amazonaws.com',
    'services/partition': 'aws',
    ...(role === undefined
      ? {}
      : {
          'iam/info': JSON.stringify({
            Code: 'Success',
            LastUpdated: new Date(context.clock()).toISOString(),
            InstanceProfileArn: instanceProfileArn(instance.profileName ?? ''),
            InstanceProfileId: context.state.aws.instanceProfiles.find(({ name }) => name === instance.profileName)?.id,
          }),
          [`iam/security-credentials/${role.name}`]: credentials(context, instance, role),
        }),
  };
}

/** What lies below a directory, as the service lists it: directories end in a slash. */
function listing(keys: readonly string[], directory: string): string | undefined {
  const prefix = directory === '' ? '' : `${directory}/`;
  const names = keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  const entries = new Set(names.map((name) => (name.includes('/') ? `${name.slice(0, name.indexOf('/'))}/` : name)));
  return entries.size === 0 ? undefined : [...entries].sort().join('\n');
}

function roleOf(context: LabContext, instance: Ec2Instance): AwsRole | undefined {
  const profile = context.state.aws.instanceProfiles.find(({ name }) => name === instance.profileName);
  return context.state.aws.roles.find(({ name }) => name === profile?.roleName);
}

function credentials(context: LabContext, instance: Ec2Instance, role: AwsRole): string {
  const session = createSession(context, role, instance.id, context.clock() + credentialLifetime);
  const value = {
    Code: 'Success',
    LastUpdated: new Date(context.clock()).toISOString(),
    Type: 'AWS-HMAC',
    AccessKeyId: session.accessKeyId,
    SecretAccessKey: session.secretAccessKey,
    Token: session.sessionToken,
    Expiration: new Date(session.expiresAt).toISOString(),
    AccountId: account,
  };
  return JSON.stringify(value, undefined, 2);
}

function macOf(instance: Ec2Instance): string {
  const bytes = instance.machine.address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '77', ...bytes].join(':');
}

// Secret Manager: secrets with numbered versions, read by whom the secret's or the project's policy allows.
import { GcpError } from './errors.ts';
import { object, paginate, text, textMap } from './fields.ts';
import type { GcpCall, Route } from './front-door.ts';
import { encodePolicy, readPolicy } from './policies.ts';
import { authorize } from './principals.ts';
import { emptyPolicy, project, projectNumber } from './state.ts';
import type { GcpSecret } from './state.ts';

const collection = '/v1/projects/{project}/secrets';
const largestPayload = 65_536;

export const secretRoutes: readonly Route[] = [
  {
    route: `POST ${collection}`,
    answer({ context, principal, query, body }) {
      authorize(context, principal, 'secretmanager.secrets.create', project);
      const id = query.get('secretId') ?? '';
      if (!/^[\w-]{1,255}$/.test(id))
        throw new GcpError(
          'INVALID_ARGUMENT',
          `secretId must have 1 to 255 letters, digits, dashes and underscores: ${id}`,
        );
      const replication = object(body, 'replication');
      if (Object.keys(replication).length === 0) throw new GcpError('INVALID_ARGUMENT', 'replication is required');
      const { secrets } = context.state.gcp;
      if (secrets.some((secret) => secret.id === id))
        throw new GcpError('ALREADY_EXISTS', `Secret [${nameOf(id)}] already exists.`);
      const secret: GcpSecret = {
        id,
        createdAt: context.clock(),
        labels: textMap(body, 'labels'),
        replication,
        versions: [],
        policy: emptyPolicy(),
      };
      secrets.push(secret);
      context.save();
      return encode(secret);
    },
  },
  {
    route: `GET ${collection}`,
    answer({ context, principal, query }) {
      authorize(context, principal, 'secretmanager.secrets.list', project);
      const { secrets } = context.state.gcp;
      const { page, ...more } = paginate(secrets, query, 'pageSize');
      return { ...(page.length === 0 ? {} : { secrets: page.map(encode) }), totalSize: secrets.length, ...more };
    },
  },
  { route: `GET ${collection}/{secret}`, answer: (call) => encode(find(call, 'secretmanager.secrets.get')) },
  {
    route: `DELETE ${collection}/{secret}`,
    answer(call) {
      const secret = find(call, 'secretmanager.secrets.delete');
      const { gcp } = call.context.state;
      gcp.secrets = gcp.secrets.filter((other) => other !== secret);
      call.context.save();
      return {};
    },
  },
  {
    route: `POST ${collection}/{secret}:addVersion`,
    answer(call) {
      const secret = find(call, 'secretmanager.versions.add');
      const data = text(object(call.body, 'payload'), 'data');
      if (Buffer.from(data, 'base64').length > largestPayload)
        throw new GcpError('INVALID_ARGUMENT', `a secret's payload is limited to ${largestPayload} bytes`);
      secret.versions.push(data);
      call.context.save();
      return encodeVersion(secret, secret.versions.length);
    },
  },
  {
    route: `GET ${collection}/{secret}/versions`,
    answer(call) {
      const secret = find(call, 'secretmanager.versions.list');
      return {
        versions: secret.versions.map((_, index) => encodeVersion(secret, index + 1)).reverse(),
        totalSize: secret.versions.length,
      };
    },
  },
  {
    route: `GET ${collection}/{secret}/versions/{version}`,
    answer(call) {
      const secret = find(call, 'secretmanager.versions.get');
      return encodeVersion(secret, versionOf(secret, call.part('version')).number);
    },
  },
  {
    route: `GET ${collection}/{secret}/versions/{version}:access`,
    answer(call) {
      const secret = find(call, 'secretmanager.versions.access');
      const { number, data } = versionOf(secret, call.part('version'));
      if (data === null)
        throw new GcpError('FAILED_PRECONDITION', `${nameOf(secret.id)}/versions/${number} is destroyed`);
      return { name: `${nameOf(secret.id)}/versions/${number}`, payload: { data } };
    },
  },
  {
    route: `POST ${collection}/{secret}/versions/{version}:destroy`,
    answer(call) {
      const secret = find(call, 'secretmanager.versions.destroy');
      const { number } = versionOf(secret, call.part('version'));
      secret.versions[number - 1] = null;
      call.context.save();
      return encodeVersion(secret, number);
    },
  },
  {
    route: `GET ${collection}/{secret}:getIamPolicy`,
    answer: (call) => encodePolicy(find(call, 'secretmanager.secrets.getIamPolicy').policy),
  },
  {
    route: `POST ${collection}/{secret}:setIamPolicy`,
    answer(call) {
      const secret = find(call, 'secretmanager.secrets.setIamPolicy');
      secret.policy = readPolicy(call, secret.policy);
      call.context.save();
      return encodePolicy(secret.policy);
    },
  },
];

function find({ context, principal, part }: GcpCall, permission: string): GcpSecret {
  const id = part('secret');
  const secret = context.state.gcp.secrets.find((one) => one.id === id);
  // Who may not read learns nothing about what exists.
  authorize(context, principal, permission, nameOf(id), secret?.policy);
  if (secret === undefined) throw new GcpError('NOT_FOUND', `Secret [${nameOf(id)}] not found.`);
  return secret;
}

function versionOf(secret: GcpSecret, name: string): { number: number; data: string | null } {
  const number = name === 'latest' ? secret.versions.length : Number(name);
  const data = Number.isInteger(number) ? secret.versions[number - 1] : undefined;
  if (data === undefined)
    throw new GcpError('NOT_FOUND', `Secret Version [${nameOf(secret.id)}/versions/${name}] not found.`);
  return { number, data };
}

function nameOf(id: string): string {
  return `projects/${projectNumber}/secrets/${id}`;
}

function encode(secret: GcpSecret): object {
  return {
    name: nameOf(secret.id),
    createTime: new Date(secret.createdAt).toISOString(),
    labels: secret.labels,
    replication: secret.replication,
    etag: `"${secret.createdAt}"`,
  };
}

function encodeVersion(secret: GcpSecret, number: number): object {
  return {
    name: `${nameOf(secret.id)}/versions/${number}`,
    createTime: new Date(secret.createdAt).toISOString(),
    state: secret.versions[number - 1] === null ? 'DESTROYED' : 'ENABLED',
  };
}

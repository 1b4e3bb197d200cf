// The Compute Engine metadata server: for who says `Metadata-Flavor: Google` and forwards for nobody; what the instance is, and tokens of
// the service account that it runs as. https://cloud.google.com/compute/docs/metadata/overview
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabContext } from '../context.ts';
import type { Handler, LabRequest, LabResponse } from '../http.ts';
import { header, json, text } from '../http.ts';
import { metadataFingerprintOf } from './compute-encode.ts';
import { createIdentityToken } from './identity-tokens.ts';
import { serviceAccountToken } from './principals.ts';
import { project, projectNumber } from './state.ts';
import type { GceInstance, ServiceAccount } from './state.ts';

const base = '/computeMetadata/v1';
const tokenLifetimeSeconds = 3599;
/** Of who waits for a change; seconds. */
const longestWait = 300;
const lookEveryMs = 200;
const flavor = { 'metadata-flavor': 'Google', server: 'Metadata Server for VM' };

type Tree = string | number | boolean | readonly string[] | { readonly [name: string]: Tree };

export function createGcpMetadata(context: LabContext, instance: GceInstance): Handler {
  return async (request) => {
    const response = await answer(context, instance, request);
    return { ...response, headers: { ...response.headers, ...flavor } };
  };
}

async function answer(context: LabContext, instance: GceInstance, request: LabRequest): Promise<LabResponse> {
  const isPut = request.method === 'PUT' && request.path.startsWith(`${base}/instance/guest-attributes/`);
  if (request.method !== 'GET' && !isPut) return text(405, 'Method Not Allowed\n');
  // A request that came through a proxy is not the instance's own.
  if (header(request, 'x-forwarded-for') !== undefined) return text(403, 'Forbidden: X-Forwarded-For is not allowed\n');
  if (request.path === '/') return text(200, 'computeMetadata/\n');
  if (header(request, 'metadata-flavor') !== 'Google') return text(403, 'Missing Metadata-Flavor:Google header.\n');
  if (request.path !== base && !request.path.startsWith(`${base}/`)) return text(404, 'Not Found\n');
  const path = request.path
    .slice(base.length)
    .split('/')
    .filter((part) => part !== '');
  if (path[0] === 'instance' && path[1] === 'guest-attributes')
    return guestAttribute(context, instance, path.slice(2), request);
  const account = accountOf(context, instance);
  if (path[0] === 'instance' && path[1] === 'service-accounts' && path.length === 4 && account !== undefined) {
    const found = path[2] === 'default' || path[2] === account.email;
    if (path[3] === 'token') return found ? giveToken(context, instance, account) : text(404, 'Not Found\n');
    if (path[3] === 'identity')
      return found ? giveIdentity(context, instance, account, request) : text(404, 'Not Found\n');
  }
  await unchanged(instance, request);
  const shown = show(lookUp(metadataTree(context, instance), path), request);
  return { ...shown, headers: { ...shown.headers, etag: metadataFingerprintOf(instance) } };
}

/** Waits where the caller wants to hear of changes only. The lab knows of changes to attributes alone. */
async function unchanged(instance: GceInstance, { query }: LabRequest): Promise<void> {
  if (query.get('wait_for_change') !== 'true') return;
  const seen = query.get('last_etag') ?? metadataFingerprintOf(instance);
  const seconds = Math.min(Number(query.get('timeout_sec') ?? longestWait), longestWait);
  const until = performance.now() + seconds * 1000;
  while (metadataFingerprintOf(instance) === seen && performance.now() < until) await sleep(lookEveryMs);
}

/** What programs on the instance say of it: `namespace/key`. */
function guestAttribute(
  context: LabContext,
  instance: GceInstance,
  path: readonly string[],
  request: LabRequest,
): LabResponse {
  if (instance.metadata['enable-guest-attributes']?.toLowerCase() !== 'true')
    return text(403, 'Guest attributes endpoint access is disabled.\n');
  if (path.length !== 2) return text(404, 'Not Found\n');
  const name = path.join('/');
  if (request.method === 'PUT') {
    instance.guestAttributes = { ...instance.guestAttributes, [name]: request.body.toString('utf8') };
    context.save();
    return text(200, '');
  }
  const value = instance.guestAttributes?.[name];
  return value === undefined ? text(404, 'Not Found\n') : text(200, value);
}

function giveToken(context: LabContext, instance: GceInstance, account: ServiceAccount): LabResponse {
  const expiresAt = context.clock() + tokenLifetimeSeconds * 1000;
  const token = serviceAccountToken(context, account, instance.serviceAccount?.scopes ?? [], expiresAt);
  return json(200, { access_token: token, expires_in: tokenLifetimeSeconds, token_type: 'Bearer' });
}

function giveIdentity(
  context: LabContext,
  instance: GceInstance,
  account: ServiceAccount,
  request: LabRequest,
): LabResponse {
  const audience = request.query.get('audience') ?? '';
  if (audience === '') return text(400, 'non-empty audience parameter required\n');
  const format = request.query.get('format') ?? 'standard';
  if (format !== 'standard' && format !== 'full') return text(400, 'format must be standard or full\n');
  return text(200, createIdentityToken(context, instance, account, { audience, format }));
}

function metadataTree(context: LabContext, instance: GceInstance): Tree {
  const account = accountOf(context, instance);
  const accountTree: Tree | undefined =
    account === undefined
      ? undefined
      : { aliases: ['default'], email: account.email, scopes: instance.serviceAccount?.scopes ?? [] };
  return {
    instance: {
      attributes: instance.metadata,
      description: instance.description,
      hostname: `${instance.name}.${instance.zone}.c.${project}.internal`,
      id: instance.id,
      'machine-type': `projects/${projectNumber}/machineTypes/${instance.machineType}`,
      name: instance.name,
      'network-interfaces': {
        '0': { ip: instance.machine.address, network: `projects/${projectNumber}/networks/default` },
      },
      'service-accounts':
        account === undefined || accountTree === undefined
          ? {}
          : { default: accountTree, [account.email]: accountTree },
      tags: instance.tags,
      zone: `projects/${projectNumber}/zones/${instance.zone}`,
    },
    project: { attributes: {}, 'numeric-project-id': projectNumber, 'project-id': project },
  };
}

function lookUp(tree: Tree, path: readonly string[]): Tree | undefined {
  return path.reduce<Tree | undefined>(
    (at, name) => (isDirectory(at) && Object.hasOwn(at, name) ? at[name] : undefined),
    tree,
  );
}

function show(found: Tree | undefined, request: LabRequest): LabResponse {
  if (found === undefined) return text(404, 'Not Found\n');
  const asJson = request.query.get('alt') === 'json';
  if (!isDirectory(found))
    return asJson
      ? json(200, found)
      : text(200, isList(found) ? found.map((item) => `${item}\n`).join('') : String(found));
  if (request.query.get('recursive') === 'true') return json(200, found);
  if (!request.path.endsWith('/')) return { status: 301, headers: { location: `${request.path}/` }, body: '' };
  return text(200, Object.entries(found).map(([name, child]) => (isDirectory(child) ? `${name}/\n` : `${name}\n`)).join('')); // prettier-ignore
}

function isDirectory(tree: Tree | undefined): tree is { readonly [name: string]: Tree } {
  return typeof tree === 'object' && !isList(tree);
}

function isList(tree: Tree): tree is readonly string[] {
  return Array.isArray(tree);
}

function accountOf(context: LabContext, instance: GceInstance): ServiceAccount | undefined {
  return context.state.gcp.serviceAccounts.find(({ email }) => email === instance.serviceAccount?.email);
}

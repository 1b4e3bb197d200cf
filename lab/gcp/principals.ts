// Who asks of the GCP side, by bearer token, and whether they may: the project's owner, or a service account with the roles that
// the project's, the secret's or the account's policy binds to it.
import type { LabContext } from '../context.ts';
import type { LabRequest } from '../http.ts';
import { header } from '../http.ts';
import { GcpError } from './errors.ts';
import type { IamPolicy, ServiceAccount } from './state.ts';

export type GcpPrincipal =
  | { readonly kind: 'owner' }
  | { readonly kind: 'service-account'; readonly account: ServiceAccount; readonly scopes: readonly string[] };

const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform';

/** Permissions of the roles that the lab knows. Who binds another is refused, so that no binding means less here than it says. */
const roles: Readonly<Record<string, readonly string[]>> = {
  'roles/owner': ['*'],
  'roles/editor': ['*'],
  'roles/viewer': [
    'compute.instances.get',
    'compute.instances.list',
    'compute.firewalls.get',
    'compute.firewalls.list',
    'iam.serviceAccounts.get',
    'iam.serviceAccounts.list',
    'secretmanager.secrets.get',
    'secretmanager.secrets.list',
  ],
  'roles/compute.viewer': [
    'compute.instances.get',
    'compute.instances.list',
    'compute.firewalls.get',
    'compute.firewalls.list',
  ],
  'roles/secretmanager.secretAccessor': ['secretmanager.versions.access'],
  'roles/secretmanager.viewer': [
    'secretmanager.secrets.get',
    'secretmanager.secrets.list',
    'secretmanager.versions.list',
  ],
  'roles/iam.serviceAccountUser': ['iam.serviceAccounts.actAs', 'iam.serviceAccounts.get', 'iam.serviceAccounts.list'],
};

export function isKnownRole(role: string): boolean {
  return roles[role] !== undefined;
}

/** The access token of the project's owner, for who runs the lab. */
export function ownerToken(context: LabContext): string {
  return `ya29.${context.seals.seal('gcp-access', { owner: true })}`;
}

export function serviceAccountToken(
  context: LabContext,
  account: ServiceAccount,
  scopes: readonly string[],
  expiresAt: number,
): string {
  return `ya29.${context.seals.seal('gcp-access', { account: account.uniqueId, scopes, expiresAt })}`;
}

export function authenticate(context: LabContext, request: LabRequest): GcpPrincipal {
  const token = /^Bearer ya29\.(\S+)$/.exec(header(request, 'authorization') ?? '')?.[1];
  const opened = token === undefined ? undefined : context.seals.open('gcp-access', token);
  if (opened === undefined)
    throw new GcpError(
      'UNAUTHENTICATED',
      'Request had invalid authentication credentials. Expected OAuth 2 access token.',
    );
  if (opened['owner'] === true) return { kind: 'owner' };
  if (Number(opened['expiresAt']) <= context.clock())
    throw new GcpError('UNAUTHENTICATED', 'the access token has expired');
  const account = context.state.gcp.serviceAccounts.find(({ uniqueId }) => uniqueId === opened['account']);
  if (account === undefined) throw new GcpError('UNAUTHENTICATED', 'the service account of the token no longer exists');
  return { kind: 'service-account', account, scopes: opened['scopes'] as string[] };
}

/** Refuses what neither the project's policy nor the resource's own gives to the principal. */
export function authorize(
  context: LabContext,
  principal: GcpPrincipal,
  permission: string,
  resource: string,
  policy?: IamPolicy,
): void {
  if (principal.kind === 'owner') return;
  if (!principal.scopes.includes(cloudPlatform))
    throw new GcpError('PERMISSION_DENIED', 'Request had insufficient authentication scopes.');
  const member = `serviceAccount:${principal.account.email}`;
  const bindings = [...context.state.gcp.projectPolicy.bindings, ...(policy?.bindings ?? [])];
  const granted = bindings.filter(({ members }) => members.includes(member)).flatMap(({ role }) => roles[role] ?? []);
  if (granted.includes('*') || granted.includes(permission)) return;
  throw new GcpError(
    'PERMISSION_DENIED',
    `Permission '${permission}' denied on resource '${resource}' (or it may not exist).`,
  );
}

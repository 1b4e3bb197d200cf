// Who asks, and whether they may: the account's administrator, or a session of a role with the role's policies.
import type { LabContext } from '../context.ts';
import { AwsError } from './errors.ts';
import { allows, parsePolicy } from './policy.ts';
import type { SignedRequest } from './signature.ts';
import { account, randomName } from './state.ts';
import type { AwsRole } from './state.ts';

export type Principal =
  | { readonly kind: 'administrator'; readonly arn: string; readonly userId: string }
  | { readonly kind: 'session'; readonly arn: string; readonly userId: string; readonly role: AwsRole };

export interface SessionCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Temporary credentials of a role. Nothing is remembered: the token carries what it stands for, sealed. */
export function createSession(
  context: LabContext,
  role: AwsRole,
  sessionName: string,
  expiresAt: number,
): SessionCredentials {
  const accessKeyId = `ASIA${randomName(16)}`;
  return {
    accessKeyId,
    secretAccessKey: secretOf(context, accessKeyId),
    sessionToken: context.seals.seal('aws-session', { accessKeyId, roleId: role.id, sessionName, expiresAt }),
    expiresAt,
  };
}

export function authenticate(context: LabContext, signed: SignedRequest): Principal {
  const { administrator } = context.state.aws;
  if (signed.accessKeyId === administrator.accessKeyId) {
    signed.verify(administrator.secretAccessKey);
    return { kind: 'administrator', arn: `arn:aws:iam::${account}:root`, userId: account };
  }
  const session =
    signed.sessionToken === undefined ? undefined : context.seals.open('aws-session', signed.sessionToken);
  if (session?.['accessKeyId'] !== signed.accessKeyId) {
    throw new AwsError('InvalidClientTokenId', 'the security token included in the request is invalid', 403);
  }
  signed.verify(secretOf(context, signed.accessKeyId));
  if (Number(session['expiresAt']) <= context.clock())
    throw new AwsError('ExpiredToken', 'the session has expired', 403);
  const role = context.state.aws.roles.find(({ id }) => id === session['roleId']);
  if (role === undefined) throw new AwsError('InvalidClientTokenId', 'the role of the session no longer exists', 403);
  const sessionName = String(session['sessionName']);
  return {
    kind: 'session',
    arn: `arn:aws:sts::${account}:assumed-role/${role.name}/${sessionName}`,
    userId: `${role.id}:${sessionName}`,
    role,
  };
}

export function isAllowed(principal: Principal, action: string, resource: string): boolean {
  if (principal.kind === 'administrator') return true;
  const statements = Object.values(principal.role.policies).flatMap((policy) => parsePolicy(policy, 'identity'));
  return allows(statements, { action, resource });
}

/** Refuses what no policy of the principal allows. */
export function authorize(principal: Principal, action: string, resource: string): void {
  if (isAllowed(principal, action, resource)) return;
  const code = action.startsWith('ec2:')
    ? 'UnauthorizedOperation'
    : /^(?:secretsmanager|ssm):/.test(action)
      ? 'AccessDeniedException'
      : 'AccessDenied';
  throw new AwsError(
    code,
    `${principal.arn} is not authorized to perform ${action} on ${resource}`,
    /^(?:secretsmanager|ssm):/.test(action) ? 400 : 403,
  );
}

/** May this caller take the role on, by its trust policy? */
export function trusts(role: AwsRole, request: Parameters<typeof allows>[1]): boolean {
  return allows(parsePolicy(role.trustPolicy, 'trust'), request);
}

export function findRole(context: LabContext, name: string): AwsRole {
  const role = context.state.aws.roles.find((one) => one.name === name);
  if (role === undefined) throw new AwsError('NoSuchEntity', `the role with name ${name} cannot be found`, 404);
  return role;
}

function secretOf(context: LabContext, accessKeyId: string): string {
  return context.seals.derive('aws-secret', accessKeyId).toString('base64').slice(0, 40);
}

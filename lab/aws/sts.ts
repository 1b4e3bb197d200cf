// STS: who am I, and temporary credentials of a role for another principal or for an identity of Google's.
import type { LabContext } from '../context.ts';
import { verifyIdentityToken } from '../gcp/identity-tokens.ts';
import { AwsError } from './errors.ts';
import type { QueryService } from './front-door.ts';
import { createSession, findRole, isAllowed, trusts } from './principals.ts';
import { timestamp } from './query.ts';
import type { Parameters, XmlValue } from './query.ts';
import { account, roleArn } from './state.ts';
import type { AwsRole } from './state.ts';

export const sts: QueryService = {
  GetCallerIdentity({ principal }) {
    return { Account: account, Arn: principal.arn, UserId: principal.userId };
  },

  AssumeRole({ context, principal }, parameters) {
    const arn = parameters.required('RoleArn');
    const role = roleOf(context, arn);
    const callers = [
      `arn:aws:iam::${account}:root`,
      account,
      principal.kind === 'session' ? roleArn(principal.role.name) : principal.arn,
      '*',
    ];
    const trusted =
      role !== undefined &&
      callers.some((value) => trusts(role, { action: 'sts:AssumeRole', principal: { kind: 'AWS', value } }));
    if (role === undefined || !trusted || !isAllowed(principal, 'sts:AssumeRole', arn)) {
      throw new AwsError('AccessDenied', `${principal.arn} is not authorized to perform sts:AssumeRole on ${arn}`, 403);
    }
    return assume(context, role, parameters);
  },
};

/** Nobody signs this call; the token says who asks, and the role's trust policy says whether that will do. */
export function assumeRoleWithWebIdentity(context: LabContext, parameters: Parameters): XmlValue {
  const arn = parameters.required('RoleArn');
  const claims = verifyIdentityToken(context, parameters.required('WebIdentityToken'));
  if (claims === 'expired') throw new AwsError('ExpiredTokenException', 'the web identity token has expired');
  if (claims === undefined)
    throw new AwsError('InvalidIdentityToken', 'the web identity token is not one of a provider that the lab knows');
  const role = roleOf(context, arn);
  const trusted =
    role !== undefined &&
    trusts(role, {
      action: 'sts:AssumeRoleWithWebIdentity',
      principal: { kind: 'Federated', value: 'accounts.google.com' },
      conditions: {
        'accounts.google.com:sub': claims.subject,
        'accounts.google.com:aud': claims.authorizedParty,
        'accounts.google.com:oaud': claims.audience,
      },
    });
  if (!trusted) throw new AwsError('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403);
  return {
    ...assume(context, role, parameters),
    Provider: 'accounts.google.com',
    SubjectFromWebIdentityToken: claims.subject,
    Audience: claims.authorizedParty,
  };
}

function assume(context: LabContext, role: AwsRole, parameters: Parameters) {
  const sessionName = parameters.required('RoleSessionName');
  if (!/^[\w+=,.@-]{2,64}$/.test(sessionName))
    throw new AwsError('ValidationError', `not a name for a session: ${sessionName}`);
  const seconds = Number(parameters.optional('DurationSeconds') ?? 3600);
  if (!Number.isInteger(seconds) || seconds < 900 || seconds > 43_200) {
    throw new AwsError('ValidationError', `DurationSeconds must be between 900 and 43200: ${seconds}`);
  }
  const session = createSession(context, role, sessionName, context.clock() + seconds * 1000);
  return {
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: session.secretAccessKey,
      SessionToken: session.sessionToken,
      Expiration: timestamp(session.expiresAt),
    },
    AssumedRoleUser: {
      AssumedRoleId: `${role.id}:${sessionName}`,
      Arn: `arn:aws:sts::${account}:assumed-role/${role.name}/${sessionName}`,
    },
  };
}

function roleOf(context: LabContext, arn: string): AwsRole | undefined {
  const prefix = roleArn('');
  if (!arn.startsWith(prefix)) return undefined;
  try {
    return findRole(context, arn.slice(prefix.length));
  } catch (cause) {
    // A caller must not learn which roles exist.
    if (cause instanceof AwsError) return undefined;
    throw cause;
  }
}

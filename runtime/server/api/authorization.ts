// Lets a call through only where the method's policy names a role that the caller has: allow-list, keyed by the resolved method, default deny.
// Checks run in order of cost, as SPIRE's do: anyone, local, admin by configuration, admin and downstream by entries, agent.
import type { CallContext, Intercept } from '../../rpc/call-context.ts';
import { permissionDenied, RpcError, statusCode, unimplemented } from '../../rpc/status.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { AgentAuthorizer } from './agent-authorizer.ts';
import type { Caller } from './caller.ts';
import { identifyCaller } from './caller.ts';
import type { MethodPolicy, Role } from './method-policy.ts';
import { methodPolicies } from './method-policy.ts';

export interface CallerRights {
  readonly admin: boolean;
  readonly downstream: boolean;
}

export interface AuthorizerOptions {
  readonly adminIds: readonly SpiffeId[];
  /** What the entries of a SPIFFE ID grant it. */
  readonly rightsOf: (id: SpiffeId) => Promise<CallerRights>;
  readonly authorizeAgent: AgentAuthorizer;
  readonly audit?: AuditLog;
  readonly policies?: ReadonlyMap<string, MethodPolicy>;
}

/** As what a caller was let through, and by what that is known: SPIRE's words for its logs. Empty where anybody may call. */
export interface Grant {
  readonly authorized_as?: Exclude<Role, 'any'>;
  readonly authorized_via?: 'transport' | 'config' | 'entries' | 'datastore';
}

export interface AuditLog {
  granted(context: CallContext, grant: Grant): void;
}

export interface Authorizer {
  readonly intercept: Intercept;
  /** Whom a call came from; only for calls that the interceptor let through. */
  readonly callerOf: (context: CallContext) => Caller;
}

const grants = {
  local: { authorized_as: 'local', authorized_via: 'transport' },
  configuredAdmin: { authorized_as: 'admin', authorized_via: 'config' },
  admin: { authorized_as: 'admin', authorized_via: 'entries' },
  downstream: { authorized_as: 'downstream', authorized_via: 'entries' },
  agent: { authorized_as: 'agent', authorized_via: 'datastore' },
} as const satisfies Readonly<Record<string, Grant>>;

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const policies = options.policies ?? methodPolicies;
  const adminIds = new Set(options.adminIds.map(String));
  const callers = new WeakMap<CallContext, Caller>();

  return {
    async intercept(context) {
      const policy = policies.get(context.method);
      if (policy?.unixOnly === true && context.connection.transport !== 'unix') {
        throw unimplemented(`unknown service ${serviceOf(context.method)}`);
      }
      const caller = identifyCaller(context.connection);
      try {
        const grant = policy === undefined ? undefined : await grantFor(caller, policy.roles);
        if (grant === undefined) throw deny(context.method);
        callers.set(context, caller);
        options.audit?.granted(context, grant);
      } catch (cause) {
        throw asDenial(context.method, cause as Error);
      }
    },
    callerOf(context) {
      const caller = callers.get(context);
      if (caller === undefined) throw deny(context.method);
      return caller;
    },
  };

  /** The first role of the policy that the caller has. An agent that is refused for a reason of its own gets that reason. */
  async function grantFor(caller: Caller, roles: readonly Role[]): Promise<Grant | undefined> {
    if (roles.includes('any')) return {};
    if (caller.kind === 'local') return roles.includes('local') ? grants.local : undefined;
    const { svid } = caller;
    if (svid !== undefined && roles.includes('admin') && adminIds.has(String(svid.id))) return grants.configuredAdmin;
    if (svid !== undefined && (roles.includes('admin') || roles.includes('downstream'))) {
      const rights = await options.rightsOf(svid.id);
      if (roles.includes('admin') && rights.admin) return grants.admin;
      if (roles.includes('downstream') && rights.downstream) return grants.downstream;
    }
    if (!roles.includes('agent')) return undefined;
    if (svid === undefined) throw permissionDenied('caller does not have an X509-SVID');
    await options.authorizeAgent(svid);
    return grants.agent;
  }
}

function deny(method: string, cause?: RpcError): RpcError {
  return permissionDenied(`authorization denied for method ${method}`, {
    ...(cause === undefined ? {} : { details: cause.details, cause }),
  });
}

/** Whoever is refused reads the same words, whatever the reason; an agent finds its own in the details, by which it acts. */
function asDenial(method: string, error: Error): Error {
  return error instanceof RpcError && error.code === statusCode.PERMISSION_DENIED ? deny(method, error) : error;
}

function serviceOf(method: string): string {
  return method.slice(1, method.lastIndexOf('/'));
}

// Who may read a secret, in Google's IAM: a policy is read, changed and written back under its etag, so that nobody else's change is lost.
import { httpStatus } from './gcp-errors.ts';
import type { GcpRequest } from './gcp-rest.ts';

interface Binding {
  readonly role: string;
  readonly members?: readonly string[];
  readonly condition?: unknown;
}

interface Policy {
  readonly etag?: string;
  readonly bindings?: readonly Binding[];
}

const reader = 'roles/secretmanager.secretAccessor';
/** Others change the same policy a moment before: read again, as Google asks. */
const attempts = 5;

/** `resource` is the secret's path. Writes nothing where the account may read already. */
export async function allowReading(request: GcpRequest, resource: string, email: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const policy = (await request('GET', `${resource}:getIamPolicy?options.requestedPolicyVersion=3`)) as Policy;
    const changed = withReader(policy, `serviceAccount:${email}`);
    if (changed === policy) return;
    try {
      await request('POST', `${resource}:setIamPolicy`, { policy: changed });
      return;
    } catch (cause) {
      // 409 is ABORTED here: the policy that we read is not the one that stands.
      if (httpStatus(cause) !== '409' || attempt === attempts) throw cause;
    }
  }
}

/** The same policy where nothing is to be done. A binding with a condition is somebody's own and no place for ours. */
function withReader(policy: Policy, member: string): Policy {
  const { bindings = [] } = policy;
  const own = bindings.find(({ role, condition }) => role === reader && condition === undefined);
  if (own === undefined) return { ...policy, bindings: [...bindings, { role: reader, members: [member] }] };
  const { members = [] } = own;
  if (members.includes(member)) return policy;
  return {
    ...policy,
    bindings: bindings.map((one) => (one === own ? { ...own, members: [...members, member] } : one)),
  };
}

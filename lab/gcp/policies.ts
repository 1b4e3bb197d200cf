// IAM policies of GCP resources: read, and replaced whole with the etag against lost updates.
import { randomBytes } from 'node:crypto';
import type { GcpCall } from './front-door.ts';
import { GcpError } from './errors.ts';
import { object, objects, optionalText, text, texts } from './fields.ts';
import { isKnownRole } from './principals.ts';
import type { IamPolicy } from './state.ts';

export function encodePolicy(policy: IamPolicy): object {
  return { version: 1, etag: policy.etag, ...(policy.bindings.length === 0 ? {} : { bindings: policy.bindings }) };
}

/** The policy that a `setIamPolicy` call asks for. Members must exist, and roles be ones that the lab evaluates. */
export function readPolicy({ context, body }: GcpCall, current: IamPolicy): IamPolicy {
  const policy = object(body, 'policy');
  const etag = optionalText(policy, 'etag');
  if (etag !== undefined && etag !== current.etag)
    throw new GcpError('ABORTED', 'There were concurrent policy changes. Please retry the whole read-modify-write.');
  const bindings = objects(policy, 'bindings').map((binding) => {
    const role = text(binding, 'role');
    if (!isKnownRole(role)) throw new GcpError('INVALID_ARGUMENT', `the lab does not evaluate the role ${role}`);
    if (binding['condition'] !== undefined)
      throw new GcpError('INVALID_ARGUMENT', 'the lab does not evaluate conditions');
    return { role, members: texts(binding, 'members') };
  });
  for (const member of bindings.flatMap(({ members }) => members)) {
    const email = /^serviceAccount:(.+)$/.exec(member)?.[1];
    if (!context.state.gcp.serviceAccounts.some((account) => account.email === email)) {
      throw new GcpError('INVALID_ARGUMENT', `Service account ${email ?? member} does not exist.`);
    }
  }
  return { bindings, etag: randomBytes(8).toString('base64') };
}

// Where the admin socket is, and which workloads may be delegates.
import { dirname, resolve, sep } from 'node:path';
import type { HclReader } from '../../hcl/reader.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

/** Undefined where there is none. What workloads see of the directory of their socket must not hold the other one. */
export function readAdminSocketPath(agent: HclReader, publicSocketPath: string | undefined): string | undefined {
  const text = agent.optionalString('admin_socket_path');
  if (text === undefined || text === '') return undefined;
  const path = resolve(text);
  if (publicSocketPath !== undefined && path.startsWith(dirname(publicSocketPath) + sep)) {
    agent.fault(
      'admin_socket_path',
      'admin socket cannot be in the same directory or a subdirectory as that containing the Workload API socket',
    );
  }
  return path;
}

export function readDelegates(agent: HclReader, trustDomain: TrustDomain): ReadonlySet<string> {
  const ids = agent.strings('authorized_delegates');
  for (const id of ids) checkMember(agent, id, trustDomain);
  return new Set(ids);
}

function checkMember(agent: HclReader, id: string, trustDomain: TrustDomain): void {
  try {
    if (parseSpiffeId(id).trustDomain.equals(trustDomain)) return;
    agent.fault('authorized_delegates', `${JSON.stringify(id)} is not a member of trust domain "${trustDomain.name}"`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    agent.fault('authorized_delegates', `${reason}: ${JSON.stringify(id)}`);
  }
}

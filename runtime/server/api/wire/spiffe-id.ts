// SPIFFE IDs as the API carries them (trust domain and path apart) to checked values and back. Each reader says what kind of ID its place takes.
import type { SPIFFEID } from '../../../../proto/gen/spire/api/types/spiffeid.ts';
import type { SpiffeId } from '../../../spiffe/spiffe-id.ts';
import { createSpiffeId, isAgentPath, isReservedPath } from '../../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';

export function encodeSpiffeId(id: SpiffeId): SPIFFEID {
  return { trustDomain: id.trustDomain.name, path: id.path };
}

export function parseWireId(wire: SPIFFEID | undefined): SpiffeId {
  if (wire === undefined) throw new Error('request must specify SPIFFE ID');
  return createSpiffeId(parseTrustDomain(wire.trustDomain), wire.path);
}

/** Any ID of the trust domain with a path. */
export function parseMemberId(trustDomain: TrustDomain, wire: SPIFFEID | undefined): SpiffeId {
  const id = parseWireId(wire);
  checkMember(trustDomain, id);
  if (id.path === '')
    throw new Error(`"${String(id)}" is not a member of trust domain "${trustDomain.name}"; path is empty`);
  return id;
}

/** An ID outside the reserved namespace. */
export function parseWorkloadId(trustDomain: TrustDomain, wire: SPIFFEID | undefined): SpiffeId {
  const id = parseWireId(wire);
  checkWorkloadId(trustDomain, id);
  return id;
}

export function checkWorkloadId(trustDomain: TrustDomain, id: SpiffeId): void {
  checkMember(trustDomain, id);
  const problem = `"${String(id)}" is not a workload in trust domain "${trustDomain.name}"`;
  if (id.path === '') throw new Error(`${problem}; path is empty`);
  if (isReservedPath(id.path)) throw new Error(`${problem}; path is in the reserved namespace`);
}

export function parseAgentId(trustDomain: TrustDomain, wire: SPIFFEID | undefined): SpiffeId {
  const id = parseWireId(wire);
  checkMember(trustDomain, id);
  const problem = `"${String(id)}" is not an agent in trust domain "${trustDomain.name}"`;
  if (id.path === '') throw new Error(`${problem}; path is empty`);
  if (!isAgentPath(id.path)) throw new Error(`${problem}; path is not in the agent namespace`);
  return id;
}

function checkMember(trustDomain: TrustDomain, id: SpiffeId): void {
  if (!id.trustDomain.equals(trustDomain))
    throw new Error(`"${String(id)}" is not a member of trust domain "${trustDomain.name}"`);
}

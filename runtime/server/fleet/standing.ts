// Whether whoever watches may still do so: the same rules that let the call in, held against what the server has in memory.
import { PermissionDeniedDetails_Reason as Reason } from '../../../proto/gen/spire/api/types/status.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { serialDecimal } from '../../pki/certificate.ts';
import type { RpcError } from '../../rpc/status.ts';
import { permissionDenied } from '../../rpc/status.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { isAgentPath } from '../../spiffe/spiffe-id.ts';
import { refuseAgent } from '../api/agent-authorizer.ts';
import type { AuthorizedEntries } from '../store/authorized-entries.ts';

export interface WatchingSvid {
  readonly id: SpiffeId;
  readonly leaf: Certificate;
}

export function isAgent({ id }: WatchingSvid): boolean {
  return isAgentPath(id.path);
}

/** The refusal, where there is one. */
export function refusalOf(
  svid: WatchingSvid,
  cache: Pick<AuthorizedEntries, 'agent' | 'isDownstream'>,
  now: number,
): RpcError | undefined {
  return isAgent(svid) ? refusalOfAgent(svid, cache, now) : refusalOfDownstream(svid, cache, now);
}

function refusalOfAgent(
  { id, leaf }: WatchingSvid,
  cache: Pick<AuthorizedEntries, 'agent'>,
  now: number,
): RpcError | undefined {
  const name = `agent "${String(id)}"`;
  if (now > leaf.notAfter) return refuseAgent(Reason.AGENT_EXPIRED, `${name} SVID is expired`);
  const record = cache.agent(String(id));
  if (record === undefined) return refuseAgent(Reason.AGENT_NOT_ATTESTED, `${name} is not attested`);
  if (record.banned) return refuseAgent(Reason.AGENT_BANNED, `${name} is banned`);
  const serial = serialDecimal(leaf);
  if (record.x509SvidSerialNumber === serial || record.newX509SvidSerialNumber === serial) return undefined;
  return refuseAgent(Reason.AGENT_NOT_ACTIVE, `${name} has a newer SVID than the one with serial number "${serial}"`);
}

function refusalOfDownstream(
  { id, leaf }: WatchingSvid,
  cache: Pick<AuthorizedEntries, 'isDownstream'>,
  now: number,
): RpcError | undefined {
  if (now > leaf.notAfter) return permissionDenied(`SVID of ${String(id)} is expired`);
  return cache.isDownstream(String(id)) ? undefined : permissionDenied(`${String(id)} is no downstream server`);
}

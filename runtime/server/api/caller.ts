// Who calls, as far as the connection proves it: a process on this machine, a peer with an X509-SVID, or nobody in particular. What the caller may
// do is authorization.ts. Identity is never read from metadata.
import type { Certificate } from '../../pki/certificate.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Connection, TcpConnection } from '../../rpc/connection.ts';
import { internal, unauthenticated } from '../../rpc/status.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';

export interface LocalCaller {
  readonly kind: 'local';
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface RemoteCaller {
  readonly kind: 'remote';
  readonly address: string;
  /** Absent where the peer showed no certificate. */
  readonly svid?: { readonly id: SpiffeId; readonly leaf: Certificate };
}

export type Caller = LocalCaller | RemoteCaller;

/** A connection has one caller, and many calls: its certificate is read once. */
const known = new WeakMap<Connection, Caller>();

/** The chain was verified when the connection was made; this reads who it names. */
export function identifyCaller(connection: Connection): Caller {
  const caller = known.get(connection) ?? identify(connection);
  known.set(connection, caller);
  return caller;
}

function identify(connection: Connection): Caller {
  if (connection.transport === 'unix') {
    const { pid, uid, gid } = connection;
    return { kind: 'local', pid, uid, gid };
  }
  return identifyRemote(connection);
}

function identifyRemote({ address, peerChain, peerId }: TcpConnection): RemoteCaller {
  const [der] = peerChain;
  if (der === undefined) return { kind: 'remote', address };
  const leaf = parseCertificate(der);
  const [uri, ...others] = leaf.uris;
  if (uri === undefined) throw unauthenticated('client certificate has no URI SAN');
  if (others.length > 0) throw unauthenticated('client certificate has more than one URI SAN');
  const id = parseUri(uri);
  // The verifier decided for one ID; another in the same certificate must not slip in after it.
  if (peerId === undefined || !peerId.equals(id)) throw unauthenticated('client certificate was not verified');
  return { kind: 'remote', address, svid: { id, leaf } };
}

function parseUri(uri: string): SpiffeId {
  try {
    return parseSpiffeId(uri);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw unauthenticated(`client certificate has a malformed URI SAN: ${reason}`, { cause });
  }
}

/** The caller's SPIFFE ID, where the method's policy lets only callers through that have one. */
export function requireCallerId(caller: Caller): SpiffeId {
  return requireCallerSvid(caller).id;
}

export function requireCallerSvid(caller: Caller): NonNullable<RemoteCaller['svid']> {
  if (caller.kind === 'local' || caller.svid === undefined) throw internal('caller ID missing from request context');
  return caller.svid;
}

export type CallerOf = (context: CallContext) => Caller;

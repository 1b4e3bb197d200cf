// An X.509 source as the two ends of a TLS connection need it: what we show, and how the other end is judged.
import { certificatesToPem } from '../pki/pem.ts';
import { parseCertificate } from '../pki/certificate.ts';
import { leafId, verifyX509Svid } from '../pki/x509-svid.ts';
import { connect } from '../rpc/client.ts';
import type { ConnectOptions, RpcChannel } from '../rpc/client.ts';
import { serverVerifier } from '../rpc/verify-peer.ts';
import type { TlsCredentials } from '../rpc/tls-credentials.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { WorkloadError } from './errors.ts';
import type { X509Source } from './x509-source.ts';
import type { X509Svid } from './x509-context.ts';

const credentialsOf = new WeakMap<X509Svid, TlsCredentials>();

/** What the source's default SVID shows now: ask again for each connection. */
export function tlsCredentialsOf(source: Pick<X509Source, 'svid'>): TlsCredentials {
  const svid = source.svid();
  const known = credentialsOf.get(svid);
  if (known !== undefined) return known;
  const credentials = { certificateChainPem: certificatesToPem(svid.chain), privateKey: svid.privateKey };
  credentialsOf.set(svid, credentials);
  return credentials;
}

export interface ConnectSpiffeOptions extends ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly source: X509Source;
  readonly expectedId: SpiffeId;
  readonly clock?: () => number;
}

/** A gRPC channel over mTLS: our SVID, and exactly the server that is expected. */
export function connectSpiffe({
  host,
  port,
  source,
  expectedId,
  clock = Date.now,
  ...options
}: ConnectSpiffeOptions): RpcChannel {
  const roots = () => source.bundle(expectedId.trustDomain).x509Authorities.map(({ asn1 }) => asn1);
  const verifyServer = serverVerifier({ expectedId, roots, clock });
  return connect({ host, port, credentials: () => tlsCredentialsOf(source), verifyServer }, options);
}

export interface PeerVerifierOptions {
  readonly source: Pick<X509Source, 'bundle'>;
  readonly authorize: (id: SpiffeId) => boolean;
  readonly clock: () => number;
}

/** Judges a peer of any trust domain that the source knows: first by that domain's bundle, then by the caller's own rule. */
export function peerVerifier({ source, authorize, clock }: PeerVerifierOptions): (chain: Uint8Array[]) => SpiffeId {
  return (chain) => {
    const claimed = claimedId(chain);
    const id = verify(chain, claimed);
    if (authorize(id)) return id;
    throw new WorkloadError('PEER_NOT_AUTHORIZED', `peer ${id.toString()} is not authorized`, { peerId: id });
  };

  function verify(chain: Uint8Array[], claimed: SpiffeId): SpiffeId {
    const { trustDomain } = claimed;
    try {
      const roots = source.bundle(trustDomain).x509Authorities.map(({ asn1 }) => asn1);
      return verifyX509Svid({ chain, roots, now: clock(), trustDomain }).id;
    } catch (cause) {
      const message = `peer that says it is ${claimed.toString()} is not verified: ${(cause as Error).message}`;
      throw new WorkloadError('PEER_NOT_VERIFIED', message, { cause, peerId: claimed });
    }
  }
}

/** Chooses the bundle and names the peer in refusals; proves nothing. */
function claimedId([leaf]: Uint8Array[]): SpiffeId {
  if (leaf === undefined) throw new WorkloadError('PEER_WITHOUT_CERTIFICATE', 'peer showed no certificate');
  try {
    return leafId(parseCertificate(leaf));
  } catch (cause) {
    const message = `certificate of the peer cannot be read: ${(cause as Error).message}`;
    throw new WorkloadError('PEER_NOT_VERIFIED', message, { cause });
  }
}

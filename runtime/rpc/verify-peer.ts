// Judges the chain that a peer shows in a TLS handshake: by the bundle of its own trust domain, and by nothing of the machine's.
import { verifyX509Svid } from '../pki/x509-svid.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

export type PeerErrorCode = 'UNEXPECTED_SERVER_ID' | 'NO_AUTHORITIES';

/** A peer whose certificate may be good, but which is not the one that was asked for; or nobody can tell. */
export class PeerError extends Error {
  readonly code: PeerErrorCode;

  constructor(code: PeerErrorCode, message: string) {
    super(message);
    this.name = 'PeerError';
    this.code = code;
  }
}

/** The DER of the authorities that are trusted now. */
export type Roots = () => readonly Uint8Array[];

export interface ServerVerifierOptions {
  readonly expectedId: SpiffeId;
  readonly roots: Roots;
  readonly clock: () => number;
}

/** Lets through the one server that is expected. */
export function serverVerifier({ expectedId, roots, clock }: ServerVerifierOptions): (chain: Uint8Array[]) => SpiffeId {
  const verify = clientVerifier({ roots, trustDomain: expectedId.trustDomain, clock });
  return (chain) => {
    const id = verify(chain);
    if (id.equals(expectedId)) return id;
    throw new PeerError('UNEXPECTED_SERVER_ID', `server is ${id.toString()}, want ${expectedId.toString()}`);
  };
}

export interface ClientVerifierOptions {
  readonly roots: Roots;
  readonly trustDomain: TrustDomain;
  readonly clock: () => number;
}

/** Lets through anybody of the trust domain: what a client may do is decided call by call. */
export function clientVerifier({
  roots,
  trustDomain,
  clock,
}: ClientVerifierOptions): (chain: Uint8Array[]) => SpiffeId {
  return (chain) => {
    const trusted = roots();
    if (trusted.length === 0)
      throw new PeerError('NO_AUTHORITIES', `no X.509 authority of ${trustDomain.name} is known yet`);
    return verifyX509Svid({ chain, roots: trusted, now: clock(), trustDomain }).id;
  };
}

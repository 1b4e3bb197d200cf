// What the CA asks of an authority above it. Without one, the CA is self-signed.
import type { ReportRequest } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { JwtAuthority, X509Authority } from '../../spiffe/bundle.ts';

export interface MintedX509Ca {
  /** Our CA certificate first, up to, not including, the root. */
  readonly chain: readonly Certificate[];
  readonly roots: readonly X509Authority[];
}

export interface UpstreamBundle {
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  /** The upstream's own count of its changes: of two bundles, the one with the greater is the newer. Without it, what is absent is not revoked. */
  readonly sequenceNumber?: number;
}

export interface UpstreamAuthority {
  readonly name: string;
  /** The CSR names the trust domain. Throws AuthorityError UPSTREAM_UNAVAILABLE. */
  readonly mintX509Ca: (csr: Uint8Array, preferredTtlMs: number, signal: AbortSignal) => Promise<MintedX509Ca>;
  /** Answers with all JWT keys of the upstream; undefined where the upstream keeps none. */
  publishJwtAuthority?(authority: JwtAuthority, signal: AbortSignal): Promise<readonly JwtAuthority[]>;
  /** Tells of each bundle of the upstream, from the first on, until the signal. */
  watchBundle?(listener: (bundle: UpstreamBundle) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Tells it what we hold; answers when it wants to hear again, in milliseconds. */
  readonly report?: (report: ReportRequest, signal: AbortSignal) => Promise<number>;
  close(): void;
}

// What the rest of the server asks of its CA: signatures under the active authorities, the server's own identity, and the state of the slots.
import type { KeyObject } from 'node:crypto';
import type { Certificate } from '../../pki/certificate.ts';
import type { KeyType } from '../../pki/key-type.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import type { JwtAuthority, TrustBundle } from '../../spiffe/bundle.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { SharedControl } from './shared-control.ts';
import type { HeldAuthorities, HeldAuthority } from '../store/records.ts';

/** `ca_subject` of the configuration. */
export interface CaSubject {
  readonly country?: string;
  readonly organization?: string;
  readonly commonName?: string;
}

/** Durations in milliseconds. */
export interface AuthorityConfig {
  readonly caTtl: number;
  readonly caKeyType: KeyType;
  readonly caSubject?: CaSubject;
  readonly jwtKeyType: KeyType;
  readonly jwtIssuer?: string;
  readonly disableJwtSvids?: boolean;
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  /** Absent: that of X.509-SVIDs. */
  readonly agentTtl?: number;
  /** `enforce` refuses an authority that breaks the lattice, where `warn` (SPIRE's way) only says so. */
  readonly ttlLattice?: 'warn' | 'enforce';
}

export interface X509SvidRequest {
  readonly publicKey: KeyObject;
  readonly spiffeId: SpiffeId;
  readonly dnsNames?: readonly string[];
  /** DER of a Name; only MintX509SVID takes it from the CSR. */
  readonly subject?: Uint8Array;
  /** Absent or 0 = the configured default; always cut to the authority's end. */
  readonly ttlMs?: number;
}

export interface DownstreamCaRequest {
  readonly publicKey: KeyObject;
  /** Who asks: it is kept, so that an authority is known to be out of use when they have shown that they left it. */
  readonly requester: SpiffeId;
  readonly ttlMs?: number;
}

export interface IssuedX509Svid {
  /** Leaf first, then intermediates, without the root. */
  readonly chain: readonly Certificate[];
  /** epoch ms */
  readonly expiresAt: number;
}

export interface JwtSvidRequest {
  readonly spiffeId: SpiffeId;
  readonly audience: readonly string[];
  readonly ttlMs?: number;
  readonly includeJti?: boolean;
}

export interface IssuedJwtSvid {
  readonly token: string;
  /** epoch ms */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export type AuthorityState = HeldAuthority;
export type SlotStates = HeldAuthorities;

export type AuthorityErrorCode =
  | 'NOT_READY'
  /** The authority named is not in the state that the act asks for. */
  | 'WRONG_STATE'
  | 'NOT_FOUND'
  | 'ALREADY_TAINTED'
  | 'HAS_UPSTREAM'
  | 'NO_UPSTREAM'
  | 'JWT_DISABLED'
  | 'UPSTREAM_UNAVAILABLE'
  | 'TTL_LATTICE'
  /** Done, but a server on the same database has not applied it in time. */
  | 'REPLICAS_BEHIND'
  /** The server that holds the authority is dead, or does not answer. */
  | 'REPLICA_UNAVAILABLE'
  | 'INVALID';

export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';
  readonly code: AuthorityErrorCode;

  constructor(code: AuthorityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Forced rotation of one server's authorities, as localauthority.v1 has it. Each act names its authority; '' is refused. */
export interface SlotControl {
  readonly states: () => SlotStates;
  readonly prepare: () => Promise<AuthorityState>;
  readonly activate: (authorityId: string) => Promise<AuthorityState>;
  readonly taint: (authorityId: string) => Promise<AuthorityState>;
  readonly revoke: (authorityId: string) => Promise<AuthorityState>;
  /** Of one that is prepared. */
  readonly withdraw: (authorityId: string) => Promise<AuthorityState>;
}

export interface CertificateAuthority {
  signX509Svid(request: X509SvidRequest): Promise<IssuedX509Svid>;
  /** Like an X509-SVID, with the agent's TTL. */
  signAgentX509Svid(request: Pick<X509SvidRequest, 'publicKey' | 'spiffeId'>): Promise<IssuedX509Svid>;
  /** An intermediate CA for a downstream server; its chain reaches up to, not including, the root. */
  signDownstreamX509Ca(request: DownstreamCaRequest): Promise<IssuedX509Svid>;
  signJwtSvid(request: JwtSvidRequest): Promise<IssuedJwtSvid>;
  /** Throws NOT_READY. */
  x509Authority(): AuthorityState;
  jwtAuthority(): AuthorityState;
  readonly x509: SharedControl;
  readonly jwt: SharedControl;
  /** Taint and revoke roots of the upstream, by hex subject key id; absent where the CA signs itself. Both return once every live server has applied it. */
  readonly x509Upstream?: {
    taint(subjectKeyId: string): Promise<void>;
    revoke(subjectKeyId: string): Promise<void>;
  };

  /** Of this server among those on its database (`ReplicaStore`), for this run of the process. */
  readonly replicaId: string;
  /** Resolves once every live server on this database has applied our bundle as it is in the store now. Throws REPLICAS_BEHIND. */
  appliedEverywhere(): Promise<void>;

  /** Our trust domain's bundle as this server knows it now: from the store, kept fresh by its notifications. */
  bundle(): TrustBundle;
  /** Reads the store now: whoever has just changed the bundle there sees it in `bundle()` afterwards. */
  refreshBundle(): Promise<void>;
  /** Called after `bundle()` changed. Returns the way to stop. */
  onBundle(listener: (bundle: TrustBundle) => void): () => void;
  /** A downstream's JWT key: published to the upstream when there is one, and in our bundle. Returns all JWT authorities. */
  publishJwtAuthority(authority: JwtAuthority): Promise<readonly JwtAuthority[]>;

  /** The server's own `/spire/server` identity for its TLS listener, renewed at half life. */
  serverCredentials(): TlsCredentials;
  /** Throws unless a probe SVID can be signed now. */
  checkSigning(): Promise<void>;
  /** Throws after too many failed rotations in a row. */
  checkRotation(): Promise<void>;
  /** Ends rotation, upstream connections and watches. */
  close(): Promise<void>;
}

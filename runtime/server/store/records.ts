// What the server keeps, as plain records: entries, agents, join tokens, CA journals, federation relationships. Times are unix seconds, lists are never shared with the caller.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { Selector } from '../../spiffe/selector.ts';

export interface EntryAttributes {
  readonly disableX509SvidPrefetch: boolean;
  readonly jwtSvidIncludeJti: boolean;
}

export interface EntryRecord {
  readonly id: string;
  readonly spiffeId: string;
  readonly parentId: string;
  /** Sorted, without duplicates. */
  readonly selectors: readonly Selector[];
  /** Seconds; 0 = the server's default. */
  readonly x509SvidTtl: number;
  /** Seconds; 0 = the server's default. */
  readonly jwtSvidTtl: number;
  /** Trust domain names. */
  readonly federatesWith: readonly string[];
  readonly admin: boolean;
  readonly downstream: boolean;
  readonly storeSvid: boolean;
  /** 0 = never. */
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly dnsNames: readonly string[];
  readonly hint: string;
  /** 0 at creation, one more with each update. */
  readonly revisionNumber: number;
  readonly additionalAttributes?: EntryAttributes;
}

/** An entry to be created: what is left out gets the empty value, an id left out a fresh UUID. */
export type EntryDraft = Pick<EntryRecord, 'spiffeId' | 'parentId' | 'selectors'> &
  Partial<Omit<EntryRecord, 'createdAt' | 'revisionNumber'>>;

/** Only what is present is changed. */
export type EntryPatch = Partial<Omit<EntryRecord, 'id' | 'createdAt' | 'revisionNumber'>>;

/** exact: the same set; subset: entry ⊆ filter; superset: entry ⊇ filter; any: one in common. */
export type SetMatch = 'exact' | 'subset' | 'superset' | 'any';

export interface SelectorFilter {
  readonly match: SetMatch;
  readonly selectors: readonly Selector[];
}

export interface EntryFilter {
  readonly bySpiffeId?: string;
  readonly byParentId?: string;
  readonly bySelectors?: SelectorFilter;
  readonly byFederatesWith?: { readonly match: SetMatch; readonly trustDomains: readonly string[] };
  readonly byHint?: string;
  readonly byDownstream?: boolean;
}

/** A page is asked for with the token of the one before; the first has the token ''. */
export interface PageRequest {
  readonly size: number;
  readonly token: string;
}

export interface AgentRecord {
  readonly spiffeId: string;
  readonly attestationType: string;
  readonly x509SvidSerialNumber: string;
  readonly x509SvidExpiresAt: number;
  /** Of a renewal that the agent has not used yet; '' = none. */
  readonly newX509SvidSerialNumber: string;
  readonly newX509SvidExpiresAt: number;
  readonly banned: boolean;
  readonly canReattest: boolean;
  readonly selectors: readonly Selector[];
  readonly agentVersion?: string;
  /** Digest of the key that it attested with, where its evidence is taken once; gone with the first renewal. */
  readonly attestedKey?: string;
}

export type AgentPatch = Partial<Omit<AgentRecord, 'spiffeId' | 'banned'>>;

export interface AgentFilter {
  readonly byAttestationType?: string;
  readonly byBanned?: boolean;
  readonly byCanReattest?: boolean;
  readonly bySelectors?: SelectorFilter;
  /** Agents whose SVID ends before this (unix seconds). */
  readonly byExpiresBefore?: number;
}

export interface JoinTokenRecord {
  readonly token: string;
  readonly expiresAt: number;
}

export interface FederationRelationshipRecord {
  /** A name. */
  readonly trustDomain: string;
  readonly bundleEndpointUrl: string;
  readonly bundleEndpointProfile: 'https_web' | 'https_spiffe';
  /** '' with https_web. */
  readonly endpointSpiffeId: string;
}

/** A relationship with the bundle that is kept of its trust domain, if there is one. */
export interface FederationRelationshipWithBundle extends FederationRelationshipRecord {
  readonly bundle?: TrustBundle;
}

/** Only what is present is changed. */
export type FederationRelationshipPatch = Partial<Omit<FederationRelationshipRecord, 'trustDomain'>>;

/** One server's CA journal: which authorities it prepared, activated and retired. It holds certificates and key ids, never a private key. */
export interface CaJournalRecord {
  /** Given by the store; 0 before the first save. */
  readonly id: number;
  /** hex subject key id of the active X.509 authority. */
  readonly activeX509AuthorityId: string;
  readonly activeJwtAuthorityId: string;
  /** Unix seconds: when the last of its authorities ends. */
  readonly expiresAt: number;
  readonly data: string;
}

/** An authority in one of a server's slots. Epoch milliseconds. */
export interface HeldAuthority {
  /** X.509: hex subject key id; JWT: key id. */
  readonly authorityId: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** hex subject key id of the root above it, where an upstream signed it. */
  readonly upstreamAuthorityId?: string;
}

export interface HeldAuthorities {
  readonly active?: HeldAuthority;
  readonly prepared?: HeldAuthority;
  readonly old?: HeldAuthority;
}

/** What a server says of itself to the others on its database. */
export interface ReplicaReport {
  /** Of this run of the process: another one after each start. */
  readonly id: string;
  readonly version: string;
  /**
   * The sequence number of our trust domain's bundle up to which everything holds in this server: it serves that bundle or a later one, its own SVID is
   * not under an authority tainted there, and it signs with no authority that is gone from there.
   */
  readonly appliedSequence: number;
  readonly authorities: { readonly x509: HeldAuthorities; readonly jwt: HeldAuthorities };
}

/** Times by the database's clock, the only one that all servers have in common. */
export interface ReplicaRecord extends ReplicaReport {
  /** Unix seconds. */
  readonly startedAt: number;
  readonly heartbeatAt: number;
  /** Since when it has had `appliedSequence`. */
  readonly appliedAt: number;
  /** Its last heartbeat is no older than `replicaLifeSeconds`: what waits for all servers waits for it. */
  readonly isLive: boolean;
}

export type AuthorityKindName = 'x509' | 'jwt';

/** What one server asks of the one whose authority it is. */
/** What one server may ask of another. */
export type AuthorityAct = 'activate' | 'taint' | 'revoke' | 'withdraw';

export interface AuthorityActRequest {
  /** Replica ids. */
  readonly owner: string;
  readonly askedBy: string;
  readonly kind: AuthorityKindName;
  readonly act: AuthorityAct;
  readonly authorityId: string;
}

export type AuthorityActAnswer =
  | { readonly state: HeldAuthority }
  | { readonly refusal: { readonly name: string; readonly code: string; readonly message: string } };

export interface AuthorityActRecord extends AuthorityActRequest {
  readonly id: string;
  /** asked, taken by its owner, answered; or withdrawn before the owner took it. */
  readonly state: 'asked' | 'taken' | 'answered' | 'withdrawn';
  readonly answer: AuthorityActAnswer | null;
}

/** Written before an authority is signed or published, and marked when that is done: what was begun and never finished can be told from what never was. */
export interface AuthorityIntent {
  readonly id: string;
  /** Of the server that signs. */
  readonly replica: string;
  readonly kind: 'x509-ca' | 'downstream-ca' | 'jwt-key';
  /** X.509: hex subject key id; JWT: key id. */
  readonly authorityId: string;
  /** hex subject key id of what signs it; '' where that is itself, or not known yet. */
  readonly issuerId: string;
  /** The SPIFFE ID of the downstream server that asked; '' of all others, and where it was not kept. */
  readonly requestedBy: string;
  /** Decimal; absent where somebody else chooses it, and of JWT keys. */
  readonly serialNumber?: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** What was signed for downstream servers of one SPIFFE ID under one authority of this tier. */
export interface DownstreamCa {
  readonly issuerId: string;
  /** The upstream's authority above the issuer; '' where that is a root itself. */
  readonly rootId: string;
  /** '' where it was not kept. */
  readonly requestedBy: string;
  /** Unix seconds: of the last to end. */
  readonly expiresAt: number;
}

/** An authority of this tier, and up to when something that it signed may be valid. */
export interface SignedUntil {
  readonly kind: AuthorityKindName;
  readonly authorityId: string;
  /** '' where there is no upstream. */
  readonly upstreamAuthorityId: string;
  /** Unix seconds: its own end. */
  readonly expiresAt: number;
  /** Unix seconds. While it signs, a bound that is ahead of what is signed; once it has retired, the exact time. */
  readonly until: number;
  /** Seconds: the longest that it has signed for. Unknown (null) of what an older server signed. */
  readonly longestTtl: number | null;
  readonly settled: boolean;
}

/** `reset`: changes may have been missed for too long, everything must be read again. */
export type StoreChange =
  | {
      readonly kind: 'entry' | 'agent' | 'bundle' | 'replica' | 'act' | 'federation_relationship';
      readonly id: string;
      readonly revision: number;
    }
  | { readonly kind: 'reset' };

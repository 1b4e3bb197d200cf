// What the server keeps, as plain records: entries, agents, join tokens, CA journals. Times are unix seconds, lists are never shared with the caller.
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

/** `reset`: changes may have been missed for too long, everything must be read again. */
export type StoreChange =
  | { readonly kind: 'entry' | 'agent' | 'bundle'; readonly id: string; readonly revision: number }
  | { readonly kind: 'reset' };

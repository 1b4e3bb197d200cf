// What the server asks of its store. Each call is one transaction; several servers may share one database.
import type { JwtAuthority, TrustBundle } from '../../spiffe/bundle.ts';
import type { DerivedEntry } from '../service/derive-entry.ts';
import type { ServiceTemplate } from '../service/template.ts';
import type { StoreError } from './errors.ts';
import type {
  AuthorityKindName,
  AuthorityLife,
  FleetHolder,
  FleetReportRecord,
  ReportedAuthority,
} from './fleet-records.ts';
import type {
  AgentFilter,
  AgentPatch,
  AgentRecord,
  AuthorityActAnswer,
  AuthorityActRecord,
  AuthorityActRequest,
  AuthorityIntent,
  DownstreamCa,
  CaJournalRecord,
  EntryDraft,
  EntryFilter,
  EntryPatch,
  EntryRecord,
  FederationRelationshipPatch,
  FederationRelationshipRecord,
  FederationRelationshipWithBundle,
  JoinTokenRecord,
  PageRequest,
  ReplicaRecord,
  ReplicaReport,
  SignedUntil,
  StoreChange,
} from './records.ts';

export interface CreatedEntry {
  readonly entry: EntryRecord;
  /** An entry with the same parent, SPIFFE ID and selectors was there: it is returned, unchanged. */
  readonly existing: boolean;
}

export interface EntryStore {
  createEntry(draft: EntryDraft): Promise<CreatedEntry>;
  /** Many at once; one that is refused leaves the others alone. Outcomes come in the order of the drafts. */
  createEntries(drafts: readonly EntryDraft[]): Promise<(CreatedEntry | StoreError)[]>;
  /** Throws NOT_FOUND, CONFLICT (another entry has the same parent, SPIFFE ID and selectors), INVALID. */
  updateEntry(id: string, patch: EntryPatch): Promise<EntryRecord>;
  /** Many at once, as if one after the other; one that is refused leaves the others alone. Outcomes come in the order of the updates. */
  updateEntries(
    updates: readonly { readonly id: string; readonly patch: EntryPatch }[],
  ): Promise<(EntryRecord | StoreError)[]>;
  /** Returns what was deleted. */
  deleteEntry(id: string): Promise<EntryRecord | undefined>;
  /** All in one transaction; returns those that were there, in no particular order. */
  deleteEntries(ids: readonly string[]): Promise<EntryRecord[]>;
  fetchEntry(id: string): Promise<EntryRecord | undefined>;
  /** Those that exist, in no particular order. */
  fetchEntries(ids: readonly string[]): Promise<EntryRecord[]>;
  /** In order of creation; without a page, all. */
  listEntries(filter: EntryFilter, page?: PageRequest): Promise<{ entries: EntryRecord[]; nextPageToken: string }>;
  countEntries(filter: EntryFilter): Promise<number>;
  /** Deletes the entries that expired before (unix seconds); returns their ids. */
  pruneEntries(expiredBefore: number): Promise<string[]>;
}

export interface AgentStore {
  /**
   * Records an attestation, the first or a further one. Throws AGENT_BANNED; with `onlyNew`, CONFLICT when the agent is known. A `joinToken` is taken
   * away in the same step and makes the agent new; CONFLICT when it is gone. `again` lets one through for the `attestedKey` that is on record.
   */
  saveAgent(
    agent: AgentRecord,
    options?: { readonly onlyNew?: boolean; readonly joinToken?: string; readonly again?: boolean },
  ): Promise<AgentRecord>;
  fetchAgent(spiffeId: string): Promise<AgentRecord | undefined>;
  /** Those that exist, in no particular order. */
  fetchAgents(spiffeIds: readonly string[]): Promise<AgentRecord[]>;
  listAgents(filter: AgentFilter, page?: PageRequest): Promise<{ agents: AgentRecord[]; nextPageToken: string }>;
  countAgents(filter: AgentFilter): Promise<number>;
  /** Throws NOT_FOUND. */
  updateAgent(spiffeId: string, patch: AgentPatch): Promise<AgentRecord>;
  /** The renewed SVID was used: new serial → current serial, in one step. undefined when `newSerial` is not the awaited one, or the agent is banned. */
  promoteAgentSvid(spiffeId: string, newSerial: string): Promise<AgentRecord | undefined>;
  /** Throws NOT_FOUND. */
  banAgent(spiffeId: string): Promise<AgentRecord>;
  deleteAgent(spiffeId: string): Promise<AgentRecord | undefined>;
  /** Deletes agents whose SVIDs ended before (unix seconds), banned ones excepted; returns their ids. */
  pruneAgents(
    expiredBefore: number,
    options?: { readonly includeNonReattestable?: boolean; readonly limit?: number },
  ): Promise<string[]>;
}

export interface JoinTokenStore {
  /** Throws CONFLICT. */
  createJoinToken(token: JoinTokenRecord): Promise<void>;
  fetchJoinToken(token: string): Promise<JoinTokenRecord | undefined>;
  /** Takes the token away, expired or not: of many at once, one gets it. The caller refuses an expired one. */
  takeJoinToken(token: string): Promise<JoinTokenRecord | undefined>;
  pruneJoinTokens(expiredBefore: number): Promise<number>;
}

/** What becomes of entries that federate with a bundle that is deleted. */
export type BundleDeleteMode = 'restrict' | 'dissociate' | 'delete';

export interface BundleStore {
  fetchBundle(trustDomain: string): Promise<TrustBundle | undefined>;
  /** Replaces the bundle as given, sequence number included. */
  setBundle(bundle: TrustBundle): Promise<TrustBundle>;
  /** Throws CONFLICT when there is one. */
  createBundle(bundle: TrustBundle): Promise<TrustBundle>;
  /** Adds the authorities that are new and were never revoked (creating the bundle); the sequence number grows by one when anything changed. */
  appendBundle(added: TrustBundle): Promise<TrustBundle>;
  /** One transaction: the bundle that `act` makes of the present one, with the next sequence number; nothing when it is equal. Throws NOT_FOUND. */
  changeBundle(trustDomain: string, act: (bundle: TrustBundle) => TrustBundle): Promise<TrustBundle>;
  listBundles(page?: PageRequest): Promise<{ bundles: TrustBundle[]; nextPageToken: string }>;
  countBundles(): Promise<number>;
  /** Throws BUNDLE_IN_USE with mode restrict; false when there is none. */
  deleteBundle(trustDomain: string, mode: BundleDeleteMode): Promise<boolean>;
  /** Drops the authorities that expired before (unix seconds), never the last of a kind (throws LAST_AUTHORITY). true when changed. */
  pruneBundle(trustDomain: string, expiredBefore: number): Promise<boolean>;
  /** Forgets the revoked authorities that would have expired before (unix seconds) anyway; returns how many. */
  pruneRevokedAuthorities(trustDomain: string, expiredBefore: number): Promise<number>;
  /** By hex subject key id. Throws NOT_FOUND, ALREADY_TAINTED. */
  taintX509Authority(trustDomain: string, subjectKeyId: string): Promise<TrustBundle>;
  /** Throws NOT_FOUND, NOT_TAINTED, LAST_AUTHORITY. */
  revokeX509Authority(trustDomain: string, subjectKeyId: string): Promise<TrustBundle>;
  taintJwtAuthority(trustDomain: string, keyId: string): Promise<JwtAuthority>;
  revokeJwtAuthority(trustDomain: string, keyId: string): Promise<JwtAuthority>;
  /** Of an authority that nothing was signed with: it need not be tainted first, and never comes back. Throw NOT_FOUND. */
  withdrawX509Authority(trustDomain: string, subjectKeyId: string): Promise<void>;
  withdrawJwtAuthority(trustDomain: string, keyId: string): Promise<void>;
}

export interface FederationStore {
  /** A bundle that comes with it replaces the one that is kept. Throws CONFLICT. */
  createFederationRelationship(
    relationship: FederationRelationshipRecord,
    bundle?: TrustBundle,
  ): Promise<FederationRelationshipWithBundle>;
  /** Likewise. Throws NOT_FOUND, and changes no bundle then. */
  updateFederationRelationship(
    trustDomain: string,
    patch: FederationRelationshipPatch,
    bundle?: TrustBundle,
  ): Promise<FederationRelationshipWithBundle>;
  fetchFederationRelationship(trustDomain: string): Promise<FederationRelationshipWithBundle | undefined>;
  /** In order of creation; without a page, all. */
  listFederationRelationships(
    page?: PageRequest,
  ): Promise<{ relationships: FederationRelationshipWithBundle[]; nextPageToken: string }>;
  /** All, without bundles, for whoever follows them. */
  allFederationRelationships(): Promise<FederationRelationshipRecord[]>;
  /** The bundle stays. False when there is no such relationship. */
  deleteFederationRelationship(trustDomain: string): Promise<boolean>;
  /**
   * Keeps a bundle that was fetched, unless one with a higher sequence number is there: of many servers that fetch at once, none puts an older one
   * over a newer one. A bundle that has no number (0) cannot be compared and is kept. False when it is the older one.
   */
  saveFetchedBundle(bundle: TrustBundle): Promise<boolean>;
}

export interface CaJournalStore {
  fetchCaJournal(activeX509AuthorityId: string): Promise<CaJournalRecord | undefined>;
  /** Inserts (id 0) or replaces; returns it with its id. */
  saveCaJournal(journal: CaJournalRecord): Promise<CaJournalRecord>;
  /** Deletes the journals all of whose authorities ended before (unix seconds). */
  pruneCaJournals(expiredBefore: number): Promise<number>;
}

/** A server without a heartbeat for longer than this counts as gone. */
export const replicaLifeSeconds = 10;

/** The servers on this database. `watch` tells of each that comes, goes, applies something or moves an authority, not of heartbeats. */
export interface ReplicaStore {
  /** A heartbeat with what the server says of itself, the first one included. Earlier runs that held one of its authorities are gone by that. */
  reportReplica(report: ReplicaReport): Promise<void>;
  /** All that are known, the dead of the last day too, in order of their start. */
  listReplicas(): Promise<ReplicaRecord[]>;
  /** On an orderly close. */
  withdrawReplica(id: string): Promise<void>;
  /** Forgets those dead for more than a day; returns how many. */
  pruneReplicas(): Promise<number>;
}

export interface FleetStore {
  /** Many at once. Those of agents that are not there are dropped; of two of one reporter the later stays. */
  saveFleetReports(reports: readonly FleetReportRecord[]): Promise<void>;
  /** Agents that are not banned, in order of their first attestation, from behind `after` (0: from the first) on. */
  listFleetAgents(after: number, size: number): Promise<FleetHolder[]>;
  listFleetDownstreams(after: number, size: number): Promise<FleetHolder[]>;
  /** The authorities of our bundle at this sequence number: when each was first seen, as tainted too, and that others are gone. */
  noteAuthorities(
    held: readonly (ReportedAuthority & { readonly kind: AuthorityKindName })[],
    sequence: number,
    now: number,
  ): Promise<void>;
  listAuthorityLives(now: number): Promise<AuthorityLife[]>;
  /** Forgets downstream servers that last reported before and whose CAs ended before, and authorities that were revoked before (epoch ms). */
  pruneFleet(before: number): Promise<void>;
}

/** `watch` tells of each act that is asked, taken, answered or withdrawn. */
export interface AuthorityActStore {
  /** The same act, asked again before it is answered, is joined. */
  askAct(request: AuthorityActRequest): Promise<AuthorityActRecord>;
  /** The oldest that waits for this owner: from then on it can no longer be withdrawn. */
  takeAct(owner: string): Promise<AuthorityActRecord | undefined>;
  answerAct(id: string, answer: AuthorityActAnswer): Promise<void>;
  fetchAct(id: string): Promise<AuthorityActRecord | undefined>;
  /** Afterwards it will never be done; false where its owner has taken it already. */
  withdrawAct(id: string): Promise<boolean>;
  /** Forgets those asked more than a day ago. */
  pruneActs(): Promise<number>;
}

/** What is kept of what authorities are and sign. SVIDs themselves are not recorded. */
export interface IssuanceStore {
  /** Throws CONFLICT where the serial number was taken before. */
  recordIntent(intent: AuthorityIntent): Promise<void>;
  completeIntent(id: string): Promise<void>;
  listIntents(): Promise<(AuthorityIntent & { readonly isDone: boolean })[]>;
  /** Of CA certificates that end after now (unix seconds), signed or about to be. */
  listDownstreamCas(now: number): Promise<DownstreamCa[]>;
  /** Forgets those of authorities that ended before (unix seconds); returns how many. */
  pruneIntents(expiredBefore: number): Promise<number>;
  /** Never lowers the bound; returns it as it is now. */
  raiseSignedUntil(mark: Omit<SignedUntil, 'settled'>): Promise<number>;
  /** The authority has retired: the exact time takes the place of the bound. */
  settleSignedUntil(mark: Omit<SignedUntil, 'settled'>): Promise<void>;
  /** Of all authorities of this tier that are not pruned yet. */
  listSignedUntil(): Promise<SignedUntil[]>;
  /** Forgets the authorities that ended before (unix seconds); returns how many. */
  pruneSignedUntil(expiredBefore: number): Promise<number>;
}

/** An identity that a service gave: an entry, and whose it is. */
export interface ServiceIdentity {
  readonly entryId: string;
  readonly templateId: string;
  readonly agentId: string;
  readonly spiffeId: string;
  readonly distinguisher: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

export interface ServiceStore {
  /** Replaces what was set before. Throws NOT_FOUND where there is no such entry. */
  saveServiceTemplate(template: ServiceTemplate): Promise<void>;
  fetchServiceTemplate(entryId: string): Promise<ServiceTemplate | undefined>;
  listServiceTemplates(page?: PageRequest): Promise<{
    templates: (ServiceTemplate & { readonly spiffeId: string })[];
    nextPageToken: string;
  }>;
  /** With the entries that were made by it: how many. Undefined where there is none. */
  deleteServiceTemplate(entryId: string): Promise<number | undefined>;
  listServiceIdentities(
    templateId?: string,
    page?: PageRequest,
  ): Promise<{ identities: ServiceIdentity[]; nextPageToken: string }>;
  /** The same again is prolonged. Throws NOT_FOUND (the template is gone), CONFLICT (the process has another identity), LIMIT. */
  giveServiceIdentity(template: ServiceTemplate, derived: DerivedEntry): Promise<ServiceIdentity>;
  /** How many there were. */
  withdrawServiceIdentities(of: {
    readonly templateId: string;
    readonly agentId: string;
    readonly spiffeId: string;
    readonly entryId?: string;
  }): Promise<number>;
}

export interface MaintenanceStore {
  /** Of all servers on this database, one is told to do it, and none again before `everyMs` have passed since `now` (epoch ms). */
  claimTask(task: string, now: number, everyMs: number): Promise<boolean>;
}

export interface Store
  extends
    EntryStore,
    AgentStore,
    JoinTokenStore,
    BundleStore,
    FederationStore,
    CaJournalStore,
    ReplicaStore,
    AuthorityActStore,
    IssuanceStore,
    MaintenanceStore,
    ServiceStore,
    FleetStore {
  /** Everything, some at a time, for caches that follow `watch`: watch first, then read, and read again what is told meanwhile. */
  allEntries(): AsyncIterable<readonly EntryRecord[]>;
  allAgents(): AsyncIterable<readonly AgentRecord[]>;
  /** Tells of every change by whatever server on this database, after it is committed, at least once. Returns the way to stop. */
  watch(listener: (change: StoreChange) => void): () => void;
  /** Throws UNAVAILABLE. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

// What a runbook is asked, what it looks at and what it reports: plain JSON, nothing secret. Types only.
import type { TrustDomainPlan } from '../plan.ts';
import type { AuthorityView, GivenApproval, RotationPolicy } from '../trust/rotation.ts';
import type { Tier, TierServer, Topology } from '../trust/topology.ts';

/** What an alert said, as far as a runbook needs it. */
export interface AlertNotice {
  readonly status: 'firing' | 'resolved';
  readonly name: string;
  readonly fingerprint: string;
  /** RFC 3339. */
  readonly startsAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

export interface RunbookPolicy {
  /** How long recovery is waited for; a duration as text. */
  readonly deadline: string;
  readonly lookEvery: string;
  /** Whether it may do anything but look; what narrows trust or overwrites something is asked for besides. */
  readonly mayAct: boolean;
  readonly approvals: RotationPolicy['approvals'];
  readonly approvers: readonly string[];
}

/** A request that was checked. */
export interface RunbookRequest {
  readonly trustDomain: string;
  /** A server, an agent's SPIFFE ID, or a tier; empty where the whole trust domain is meant. */
  readonly subject: string;
  /** Of the subject, where the request says it. */
  readonly tier?: string | undefined;
  readonly policy: RunbookPolicy;
  readonly requester: string;
  readonly reason: string;
  readonly alert?: AlertNotice | undefined;
  /** Exactly one of the two is there. */
  readonly plan?: TrustDomainPlan | undefined;
  readonly topology?: Topology | undefined;
}

export interface ServerLook extends TierServer {
  /** Whether it answers calls with the trust domain's identity. */
  readonly answers: boolean;
  /** Why not. */
  readonly said?: string | undefined;
  readonly authority?: AuthorityView | undefined;
}

export interface SilentHolder {
  /** The SPIFFE ID. */
  readonly id: string;
  readonly version: string;
  /** RFC 3339: its last word. */
  readonly heardAt: string;
  /** RFC 3339: the end of its own certificate; absent where it never reported one. */
  readonly endsAt?: string | undefined;
}

export interface HolderLook {
  readonly total: number;
  readonly silentCount: number;
  /** The first of them. */
  readonly silent: readonly SilentHolder[];
  /** Holders that report and do not have the bundle as it is. */
  readonly behindCount: number;
  /** RFC 3339: when the first certificate of a holder ends that has not ended yet. */
  readonly firstEnd?: string | undefined;
  /** What the silent ones have in common and the others have not, most telling first. */
  readonly common: readonly string[];
}

/** How a tier stands, as far as anybody in it can be asked. */
export interface TierLook {
  readonly tier: string;
  readonly parent?: string | undefined;
  readonly servers: readonly ServerLook[];
  /** `unknown` where no server answers. */
  readonly datastore: 'answers' | 'away' | 'unknown';
  readonly datastoreSaid?: string | undefined;
  readonly agents: HolderLook;
  readonly downstreams: HolderLook;
  /** Servers whose active authority, or the root above it, is not in the bundle. */
  readonly unpublished: readonly string[];
}

export interface AgentLook {
  readonly tier: string;
  readonly agentId: string;
  readonly isKnown: boolean;
  readonly banned: boolean;
  readonly canReattest: boolean;
  readonly attestor: string;
  /** RFC 3339. */
  readonly endsAt: string;
  readonly hasExpired: boolean;
  /** Whether it has reported in time; undefined where it never reported: plain SPIRE. */
  readonly silent?: boolean | undefined;
  readonly heardAt?: string | undefined;
  readonly streams: number;
  /** SVIDs that it serves, and the end of the last of them. */
  readonly serves: number;
  readonly servesUntil?: string | undefined;
}

export interface OnTier {
  readonly trustDomain: string;
  readonly tier: Tier;
}

export interface EntryDifference {
  /** The snapshot's file; absent where there is none. */
  readonly snapshot?: string | undefined;
  /** RFC 3339. */
  readonly takenAt?: string | undefined;
  readonly before: number;
  readonly now: number;
  /** Entries of the snapshot that are not there any more. */
  readonly missing: number;
  /** SPIFFE IDs of the first of them. */
  readonly examples: readonly string[];
}

export interface AuthorityDifference {
  /** The newest snapshot that is compared with. */
  readonly takenAt?: string | undefined;
  readonly servers: readonly {
    readonly server: TierServer;
    readonly before?: AuthorityView | undefined;
    readonly now: AuthorityView;
  }[];
}

export interface TrustSnapshot {
  readonly tier: string;
  readonly file: string;
  readonly entries: number;
}

/** What somebody approves: the SHA-256 of its RFC 8785 JSON is the plan's digest. */
export interface RunbookAction {
  readonly runbook: string;
  readonly trustDomain: string;
  readonly subject: string;
  readonly action: string;
}

export type RunbookOutcome = 'recovered' | 'contained' | 'nothing is wrong' | 'needs a person';

export interface RunbookReport {
  readonly runbook: string;
  readonly trustDomain: string;
  readonly subject: string;
  readonly requester: string;
  readonly reason: string;
  readonly outcome: RunbookOutcome;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly alerts: readonly string[];
  readonly findings: readonly string[];
  readonly actions: readonly { readonly what: string; readonly at: string; readonly ended: string }[];
  readonly approvals: readonly GivenApproval[];
  /** What is left for a person to do. */
  readonly advice: readonly string[];
}

/** Activities of the `control` queue for runbooks: most look, few act, each act is safe to repeat. */
export interface RunbookActivities {
  readonly checkRunbook: (input: { runbook: string; request: unknown }) => Promise<RunbookRequest>;
  readonly lookAtTiers: (input: { topology: Topology }) => Promise<TierLook[]>;
  /** Throws InvalidRequest where no tier knows it and none is named. */
  readonly lookAtAgent: (input: { topology: Topology; tier?: string; agentId: string }) => Promise<AgentLook>;
  readonly digestAction: (input: RunbookAction) => Promise<string>;
  /** It gets nothing more and is not let in again until somebody evicts it. */
  readonly ensureBanned: (input: OnTier & { agentId: string }) => Promise<void>;
  /** It may attest again. With `endsAt`, the end of the SVID that was looked at, one that has attested meanwhile is left in. */
  readonly ensureEvicted: (input: OnTier & { agentId: string; endsAt?: string }) => Promise<void>;
  /** Keeps every tier's entries and authorities in files beside the reports. */
  readonly snapshotTrust: (input: { topology: Topology }) => Promise<TrustSnapshot[]>;
  readonly compareEntries: (input: OnTier) => Promise<EntryDifference>;
  /** Creates what the snapshot has and the tier has not; returns how many. Throws TrustViolation where some are refused. */
  readonly restoreEntries: (input: OnTier & { snapshot: string }) => Promise<number>;
  readonly compareAuthorities: (input: OnTier) => Promise<AuthorityDifference>;
}

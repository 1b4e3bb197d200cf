// What a rotation is asked, what it proves and what it reports: plain JSON, nothing secret. Types only.
import type { TierServer, Topology } from './topology.ts';
import type { TrustDomainPlan } from '../plan.ts';
import type { RollOutReport } from '../rollout/rollout.ts';
import type { DrillReport } from '../drills/drill.ts';
import type { RunbookReport } from '../runbooks/runbook.ts';
import type { UpdateReport } from '../update/update.ts';

export type AuthorityKind = 'x509' | 'jwt';

export type RotationOperation =
  'rotateX509Authority' | 'rotateJwtAuthority' | 'rotateUpstreamAuthority' | 'distrustAuthority';

/** Durations as text, such as `30m`: what an operator decides beforehand, and what an approval covers. */
export interface RotationPolicy {
  /** How long each proof may take before `atDeadline` applies. */
  readonly proofDeadline: string;
  /**
   * What follows when a proof's deadline passes: `abort` undoes while that can be done and waits on afterwards, `hold` waits on, `leave` goes on
   * without those who are missing, by name.
   */
  readonly atDeadline: 'abort' | 'hold' | 'leave';
  /** Whether SVIDs are renewed in their own time before the old authority is tainted (`natural`), or the taint makes them be (`none`). */
  readonly soak: 'natural' | 'none';
  /** Whether to wait until everything that nobody can be asked about has ended (`wait`), or to revoke before (`shorten`). */
  readonly agedOut: 'wait' | 'shorten';
  /** `none`; `named`: somebody says so; `signed`: with the signature of an SVID, and not the requester's. */
  readonly approvals: 'none' | 'named' | 'signed';
  readonly approveActivation: boolean;
  readonly approveRevocation: boolean;
  /** SPIFFE IDs that may approve; empty: anybody under `named`, nobody under `signed`. */
  readonly approvers: readonly string[];
  /** A clock that is further off than this blocks the rotation. */
  readonly maxClockSkew: string;
}

/** A request that was checked: where, what and by which rules. */
export interface RotationRequest {
  readonly operation: RotationOperation;
  readonly kind: AuthorityKind;
  readonly trustDomain: string;
  /** The tier whose authorities are replaced. */
  readonly tier: string;
  /** One of them; undefined: each server's active one. Only an emergency names it. */
  readonly authorityId?: string | undefined;
  readonly policy: RotationPolicy;
  readonly dryRun: boolean;
  /** Goes on where a rotation was ended from outside after its activation. */
  readonly resume: boolean;
  readonly requester: string;
  readonly reason: string;
  /** Exactly one of the two is there. */
  readonly plan?: TrustDomainPlan | undefined;
  readonly topology?: Topology | undefined;
  /** Milliseconds; undefined where nobody said. */
  readonly x509SvidTtlMs?: number | undefined;
}

export interface AuthorityView {
  readonly authorityId: string;
  /** The root above it; absent where it is one itself. */
  readonly upstreamAuthorityId?: string | undefined;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** What one server signs with, will sign with and signed with. */
export interface ServerAuthorities {
  readonly tier: string;
  readonly server: TierServer;
  readonly active: AuthorityView;
  readonly prepared?: AuthorityView | undefined;
  readonly old?: AuthorityView | undefined;
}

export interface OnServer {
  readonly trustDomain: string;
  readonly tier: string;
  readonly server: TierServer;
  readonly kind: AuthorityKind;
}

/** One server's part of a rotation. */
export interface Replacement {
  readonly tier: string;
  readonly server: TierServer;
  readonly old: AuthorityView;
  readonly new: AuthorityView;
}

/** What must be true before the next step, of every holder of every tier. */
export type Claim =
  /** Serves these authorities, and has written them to every stream. */
  | 'held'
  /** Neither shows nor serves anything under them. */
  | 'moved'
  /** Knows that they are tainted, and serves nothing under them. */
  | 'tainted'
  /** Whatever was signed under them and nobody can be asked about has ended. */
  | 'ended'
  /** Has them no more. */
  | 'gone';

export interface ClaimInput {
  readonly topology: Topology;
  readonly claim: Claim;
  readonly kind: AuthorityKind;
  readonly authorityIds: readonly string[];
  /** Holders that are left out, by SPIFFE ID or server name, because somebody decided so. */
  readonly without: readonly string[];
}

export interface MissingHolder {
  readonly tier: string;
  readonly kind: 'server' | 'agent' | 'downstream';
  /** The SPIFFE ID; of a server its name. */
  readonly id: string;
  readonly what: string;
  /** RFC 3339; absent where it is not known. */
  readonly since?: string | undefined;
}

/** How many holders of a tier count by which kind of proof. */
export interface TierProof {
  readonly tier: string;
  /** Said so themselves. */
  readonly shown: number;
  /** Streams to workloads that the update has been written to. */
  readonly drained: number;
  /** Whatever they have, nothing of it is valid any more. */
  readonly agedOut: number;
  readonly missing: number;
}

export interface ProofOutcome {
  readonly proven: boolean;
  readonly tiers: readonly TierProof[];
  /** The first of them, by tier. */
  readonly missing: readonly MissingHolder[];
  /** Certificates that hang on the authorities, where that is what is asked. */
  readonly certificatesBelow: number;
  /** RFC 3339: when what is waited for will have ended by itself, where that is known. */
  readonly endsAt?: string | undefined;
}

export interface Finding {
  readonly severity: 'blocker' | 'warning';
  readonly tier: string;
  readonly what: string;
}

/** How things stand before a rotation. */
export interface Survey {
  readonly authorities: readonly ServerAuthorities[];
  readonly findings: readonly Finding[];
  readonly holders: readonly {
    readonly tier: string;
    readonly servers: number;
    readonly agents: number;
    readonly downstreams: number;
    readonly streams: number;
  }[];
  /** By today's figures: how long each claim will take, in words that say why. */
  readonly expectations: readonly { readonly claim: Claim; readonly seconds: number; readonly why: string }[];
}

/** What an approval covers, word for word: the SHA-256 of its RFC 8785 JSON is the plan's digest. */
export interface DigestedPlan {
  readonly trustDomain: string;
  readonly operation: RotationOperation;
  readonly oldAuthorityIds: readonly string[];
  readonly newAuthorityIds: readonly string[];
  readonly tiers: readonly string[];
  readonly policy: RotationPolicy;
}

/** What an approval opens: one of a rotation's two gates, what a runbook would do next, or the way on without holders, named and sorted. */
export type Gate = 'activation' | 'revocation' | 'action' | `without ${string}`;

export interface Approval {
  readonly planDigest: string;
  readonly gate: Gate;
  readonly approver: string;
  readonly reason: string;
  /** By the approver's X509-SVID over the text that `espalier approve` shows. Base64. */
  readonly signature?: { readonly certificates: readonly string[]; readonly value: string } | undefined;
}

export interface GivenApproval extends Omit<Approval, 'signature'> {
  /** RFC 3339. */
  readonly at: string;
  readonly signed: boolean;
}

export interface ProofRecord extends ProofOutcome {
  readonly claim: Claim;
  readonly authorityIds: readonly string[];
  readonly startedAt: string;
  readonly provenAt: string;
  /** Who was left out, and by whose decision. */
  readonly without: readonly string[];
}

export interface RotationReport {
  readonly operation: RotationOperation;
  readonly trustDomain: string;
  readonly tier: string;
  readonly requester: string;
  readonly reason: string;
  readonly planDigest: string;
  readonly policy: RotationPolicy;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly replaced: readonly {
    readonly tier: string;
    readonly server: string;
    readonly old: string;
    readonly new: string;
  }[];
  readonly proofs: readonly ProofRecord[];
  readonly approvals: readonly GivenApproval[];
  /** SVIDs that hung on the old authorities when the new ones took over: each was issued again, or has ended. */
  readonly svidsReissued: number;
  /** Whatever was not proven but decided: by policy, by an operator, or as nobody can be asked. */
  readonly forced: readonly string[];
  /** What stopped working, as far as holders say; an emergency may cost that. */
  readonly broken: readonly MissingHolder[];
  readonly notes: readonly string[];
}

export interface DryRunReport {
  readonly operation: RotationOperation;
  readonly trustDomain: string;
  readonly tier: string;
  readonly wouldReplace: readonly ServerAuthorities[];
  readonly holders: Survey['holders'];
  readonly expectations: Survey['expectations'];
  readonly blockers: readonly Finding[];
  readonly warnings: readonly Finding[];
  /** Approvals that it would wait for. */
  readonly approvals: readonly Gate[];
  readonly steps: readonly string[];
}

/** Activities on the `control` queue that change the authorities of servers, and prove what holders hold. */
export interface TrustActivities {
  readonly checkRotation: (input: { operation: RotationOperation; request: unknown }) => Promise<RotationRequest>;
  readonly surveyTrust: (input: {
    topology: Topology;
    request: Omit<RotationRequest, 'plan' | 'topology'>;
  }) => Promise<Survey>;
  readonly digestPlan: (input: DigestedPlan) => Promise<string>;
  readonly readAuthorities: (input: OnServer) => Promise<ServerAuthorities>;
  /** Prepares one that is not among those known before; content when that has been done. */
  readonly ensurePrepared: (input: OnServer & { notAmong: readonly string[] }) => Promise<AuthorityView>;
  /** Takes a prepared one back; what cannot be taken back (plain SPIRE) is said in the answer. */
  readonly withdrawPrepared: (input: OnServer & { notAmong: readonly string[] }) => Promise<string>;
  readonly ensureActivated: (input: OnServer & { authorityId: string }) => Promise<void>;
  /** An intermediate CA under none of these roots, and other than those known before. */
  readonly ensureReissued: (
    input: OnServer & { before: readonly string[]; notUnder: readonly string[] },
  ) => Promise<AuthorityView>;
  readonly ensureTainted: (input: OnServer & { authorityId: string; upstream: boolean }) => Promise<void>;
  readonly ensureRevoked: (input: OnServer & { authorityId: string; upstream: boolean }) => Promise<void>;
  /** Returns as soon as the claim is proven, else after that time with what is missing. */
  readonly waitForProof: (input: ClaimInput & { patienceMs: number }) => Promise<ProofOutcome>;
  /** Throws PermissionDenied unless the approval counts. */
  readonly verifyApproval: (input: {
    trustDomain: string;
    approval: Approval;
    policy: Pick<RotationPolicy, 'approvals' | 'approvers'>;
    requester: string;
  }) => Promise<GivenApproval>;
  /** Returns where it was written. */
  readonly writeReport: (input: {
    name: string;
    report: RotationReport | RunbookReport | RollOutReport | UpdateReport | DrillReport;
  }) => Promise<string>;
}

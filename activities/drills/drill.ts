// What a drill is asked, what it breaks, what it sees and what it reports: plain JSON, nothing secret. Types only.
import type { WorkloadAddress } from '../inputs.ts';
import type { TrustDomainPlan } from '../plan.ts';
import type { AgentLook, OnTier, TierLook } from '../runbooks/runbook.ts';
import type { Cloud, TrustDomainSpec } from '../spec/trust-domain-spec.ts';
import type { Topology } from '../trust/topology.ts';

export type DrillName =
  | 'downstreamServerDown'
  | 'upstreamUnreachable'
  | 'agentPartition'
  | 'svidExpiry'
  | 'entryDeletion'
  | 'crossPlatformTrust'
  | 'datastoreDown'
  | 'intermediateExpiry';

/** Durations as text. */
export interface DrillPolicy {
  /** How long the failure is kept up; drills that wait for an end of what was issued ignore it. */
  readonly hold: string;
  /** The longest that a failure may be kept up whose length the lifetimes decide. */
  readonly mostHold: string;
  /** How long everything may take to be whole again once the failure is mended. */
  readonly recovery: string;
  readonly lookEvery: string;
  /** How long an agent may go on serving what was deleted, by its own reports. */
  readonly lostWithin: string;
  /** Whether the drill starts the runbook itself; otherwise the alert receiver does, and the drill looks for it. */
  readonly startRunbook: boolean;
}

/** A request that was checked. */
export interface DrillRequest {
  readonly plan: TrustDomainPlan;
  readonly drill: DrillName;
  /** A server, a node, a segment, a tier or a workload's SPIFFE ID, as the drill has it; empty where it has none. */
  readonly subject: string;
  readonly policy: DrillPolicy;
  /** Whose word counts on whether the alert is there. */
  readonly prometheus?: string | undefined;
  readonly dryRun: boolean;
  readonly requester: string;
  readonly reason: string;
}

/** What the lab breaks, and mends again; instances by the ids that their clouds give them. */
export type LabFault =
  /** A program that is killed and kept down. */
  | { readonly kind: 'program'; readonly instance: string; readonly unit: string }
  /** Nothing goes from one instance to the other, nor back. */
  | { readonly kind: 'link'; readonly instance: string; readonly other: string };

export interface InLab {
  readonly infrastructure: TrustDomainSpec['infrastructure'];
  readonly fault: LabFault;
}

/** What undoes something that a drill breaks, as plain data: whoever finds the drill gone can do it too. Content with nothing to mend. */
export type Mending = { readonly name: string } & (
  | ({ readonly kind: 'lab' } & InLab)
  | { readonly kind: 'datastore'; readonly cloud: Cloud; readonly datastore: InDatastore }
  | ({ readonly kind: 'entries'; readonly entries: readonly KeptEntry[] } & OnTier)
);

/** Something that was tried just now. */
export interface Tried {
  readonly works: boolean;
  /** Why not. */
  readonly said?: string | undefined;
}

export interface AddressedWorkload extends WorkloadAddress {
  readonly cloud: Cloud;
  readonly segment: string;
}

export interface IssuanceLook {
  readonly tier: string;
  readonly x509: Tried;
  readonly jwt: Tried;
}

export interface WorkloadLook extends Tried {
  readonly spiffeId: string;
  /** SHA-256 of the leaf that it shows, and RFC 3339 its end; absent where it cannot be asked. */
  readonly leaf?: string | undefined;
  readonly endsAt?: string | undefined;
}

export interface HandshakeLook extends Tried {
  readonly from: string;
  readonly to: string;
}

/** The whole trust domain at one moment, as far as anybody in it can be asked. */
export interface DrillLook {
  /** RFC 3339. */
  readonly at: string;
  readonly tiers: readonly TierLook[];
  /** A throw-away SVID of each kind, minted by each tier. */
  readonly issuance: readonly IssuanceLook[];
  readonly workloads: readonly WorkloadLook[];
  /** Every workload of one cloud with every one of another, over new connections. */
  readonly handshakes: readonly HandshakeLook[];
  /** The worker, whom no workload admits. */
  readonly refusals: readonly WorkloadLook[];
  readonly agent?: AgentLook | undefined;
}

/** A registration entry, to be put back exactly as it was. */
export interface KeptEntry {
  readonly id: string;
  readonly spiffeId: string;
  /** Base64 of the message. */
  readonly entry: string;
}

export interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

export interface AlertSeen {
  readonly state: 'inactive' | 'pending' | 'firing';
}

export interface RunbookSeen {
  readonly workflowId: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Its report's, where it has ended. */
  readonly outcome?: string | undefined;
}

export interface ExpectationReport {
  readonly what: string;
  /** `keeps`: must work all the time; `stops`: must be seen to stop. */
  readonly kind: 'keeps' | 'stops';
  readonly met: boolean;
  /** When it stopped, seconds after the failure. */
  readonly afterSeconds?: number | undefined;
  readonly said?: string | undefined;
}

/** One failure from beginning to end; seconds are counted from it, those of the recovery from its mending. */
export interface RoundReport {
  readonly failure: string;
  readonly failedAt: string;
  readonly detected?:
    { readonly by: 'Prometheus' | 'fleet'; readonly what: string; readonly afterSeconds: number } | undefined;
  readonly runbook?:
    { readonly workflowId: string; readonly afterSeconds: number; readonly outcome: string } | undefined;
  readonly mendedAfterSeconds: number;
  readonly recoveredAfterSeconds?: number | undefined;
  readonly expectations: readonly ExpectationReport[];
}

export interface DrillReport {
  readonly drill: DrillName;
  readonly trustDomain: string;
  readonly subject: string;
  readonly requester: string;
  readonly reason: string;
  readonly verdict: 'passed' | 'failed' | 'dry run';
  /** Why it did not pass; of a dry run, what would keep it from beginning. */
  readonly reasons: readonly string[];
  /** What is done, or would be, in order. */
  readonly steps: readonly string[];
  readonly startedAt: string;
  readonly endedAt: string;
  readonly rounds: readonly RoundReport[];
  readonly notes: readonly string[];
}

/** Activities of the `control` queue for drills. */
export interface DrillActivities {
  readonly checkDrill: (input: { request: unknown }) => Promise<DrillRequest>;
  /** Throws Unsupported where the lab cannot break such things; returns the faults that stand in it already, in words. */
  readonly checkFaults: (
    input: Pick<InLab, 'infrastructure'> & { kinds: readonly LabFault['kind'][] },
  ) => Promise<string[]>;
  readonly ensureFault: (input: InLab) => Promise<void>;
  readonly removeFault: (input: InLab) => Promise<void>;
  readonly lookAtDrill: (input: {
    topology: Topology;
    workloads: readonly AddressedWorkload[];
    agent?: { tier: string; agentId: string };
  }) => Promise<DrillLook>;
  readonly readWorkloadEntries: (input: OnTier & { spiffeId: string }) => Promise<KeptEntry[]>;
  readonly ensureWorkloadEntries: (input: OnTier & { entries: readonly KeptEntry[] }) => Promise<void>;
  /** Returns after how many milliseconds the agent reported that it serves fewer SVIDs than `served`; undefined where it still served them after `within`. */
  readonly removeWorkloadEntries: (
    input: OnTier & { entries: readonly KeptEntry[]; agentId: string; served: number; within: string },
  ) => Promise<number | undefined>;
  readonly askAlert: (input: {
    prometheus: string;
    alert: string;
    labels: Readonly<Record<string, string>>;
  }) => Promise<AlertSeen>;
  /** The newest of that kind for the trust domain that began since; undefined where there is none. */
  readonly findRunbook: (input: {
    trustDomain: string;
    runbook: string;
    since: string;
  }) => Promise<RunbookSeen | undefined>;
  /** Returns how that execution ended, once it has, as Temporal names it: `COMPLETED`, `TERMINATED`; `DELETED` where it is known no more. */
  readonly awaitEnd: (input: Execution) => Promise<string>;
}

export interface InDatastore extends Pick<InLab, 'infrastructure'> {
  readonly trustDomain: string;
  readonly pool: string;
}

/** Activities of a cloud's queue: the datastore of a pool is its cloud's. */
export interface DrillCloudActivities {
  /** No connection of the pool's servers to their database stays, and none is let in. */
  readonly ensureDatastoreClosed: (input: InDatastore) => Promise<void>;
  readonly ensureDatastoreOpen: (input: InDatastore) => Promise<void>;
}

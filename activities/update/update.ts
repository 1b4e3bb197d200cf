// What an update of a living trust domain is asked, what it finds and what it will do: plain JSON, nothing secret. Types only.
import type { NodeWorkload } from '../boot/node.ts';
import type { SegmentRemains } from '../cloud.ts';
import type { FoundCluster, OtherClusters } from '../clusters/cluster.ts';
import type { InRegion, ServerAddress, Where } from '../inputs.ts';
import type { Artifact, InstanceRole, TrustDomainPlan } from '../plan.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';
import type { GivenApproval, MissingHolder, RotationPolicy } from '../trust/rotation.ts';

/** Instances of one role in one region, as their cloud lists them. */
export interface PlacedGroup {
  readonly cloud: Cloud;
  readonly region: string;
  readonly role: InstanceRole;
  readonly names: readonly string[];
  /** Of servers: digests of the settings that they were made with, where that was noted. */
  readonly settings: readonly string[];
  /** Of the upstream: it was made knowing servers in clusters. */
  readonly isForClusters?: boolean;
}

export interface FoundEntry {
  readonly id: string;
  readonly spiffeId: string;
  readonly selectors: readonly string[];
  /** Made by the control plane: nothing else is ever deleted. */
  readonly isOurs: boolean;
}

export interface ParentedEntry extends FoundEntry {
  /** A SPIFFE ID. */
  readonly parentId: string;
}

export interface UpdatePolicy {
  /** Of an update that takes something away; what only adds is not asked for. */
  readonly approvals: RotationPolicy['approvals'];
  readonly approvers: readonly string[];
}

/** A request that was checked. */
export interface UpdateRequest {
  readonly plan: TrustDomainPlan;
  /** Of the specification, its defaults filled in. */
  readonly specDigest: string;
  readonly policy: UpdatePolicy;
  readonly dryRun: boolean;
  readonly requester: string;
  readonly reason: string;
}

/** A segment that runs, or of which something is left, and that is not in the specification any more. */
export interface GoneSegment {
  readonly name: string;
  readonly cloud: Cloud;
  readonly region: string;
  readonly servers: readonly string[];
  readonly nodes: readonly string[];
}

/** Of the workloads of a segment or of a cluster. */
export interface ChangedEntries {
  /** SPIFFE IDs. */
  readonly addWorkloads: readonly string[];
  readonly removeEntries: readonly FoundEntry[];
}

/** Of the servers too. */
interface TierChange extends ChangedEntries {
  readonly addServers: readonly string[];
  readonly removeServers: readonly string[];
}

export interface SegmentChange extends TierChange {
  readonly segment: string;
  readonly addNodes: readonly string[];
  readonly removeNodes: readonly string[];
}

export interface ClusterChange extends TierChange {
  readonly cluster: string;
  /** What it has now, which an undo puts back. */
  readonly before: FoundCluster;
  /** Its programs get the specification's. */
  readonly changesImage: boolean;
}

/** A cluster that is not in the specification any more. */
export interface GoneCluster {
  readonly name: string;
  /** Absent where nothing is left of it but at the upstream. */
  readonly found?: FoundCluster;
  /** At the upstream: what let its servers be servers. */
  readonly entries: readonly ParentedEntry[];
}

/** What the specification wants otherwise than it is. */
export interface Comparison {
  /** What cannot be changed in place, by name; then nothing is. */
  readonly refusals: readonly string[];
  readonly addSegments: readonly string[];
  readonly changes: readonly SegmentChange[];
  readonly removeSegments: readonly GoneSegment[];
  /** Absent where nothing is in a cluster, and of runs that began before clusters could be changed. */
  readonly changeClusters?: readonly ClusterChange[];
  readonly removeClusters?: readonly GoneCluster[];
  /** In the order in which it is done, for people. */
  readonly steps: readonly string[];
  readonly narrows: boolean;
  /** Entries below a segment's alias that somebody else made: left alone. */
  readonly left: readonly string[];
}

export interface PlaceWorkloads extends InRegion {
  readonly cloud: Cloud;
  readonly role: InstanceRole;
  readonly node: string;
  readonly artifact: Artifact;
  readonly workloads: readonly NodeWorkload[];
  /** Names of programs that are to stop. */
  readonly stop: readonly string[];
  readonly id: string;
}

/** Activities of a cloud's queue for updates. */
export interface PlacingActivities {
  /** What segments have besides their instances, whether any of them runs or not. */
  readonly listRemains: (input: Where) => Promise<SegmentRemains[]>;
  /** Everything of the trust domain, in whatever region. */
  readonly listPlaced: (input: Where) => Promise<PlacedGroup[]>;
  /** Starts the programs on a node that runs, and stops those that are to stop, by the cloud's own means. */
  readonly placeWorkloads: (input: PlaceWorkloads) => Promise<void>;
}

/** What was looked at of clusters. */
export interface LookedClusters extends OtherClusters {
  /** By the plan's clusters. */
  readonly planned: readonly {
    readonly name: string;
    readonly found: FoundCluster | null;
    /** Below its nodes' alias. */
    readonly entries: readonly FoundEntry[];
  }[];
  /** At the upstream: of every server below it, wherever that is. */
  readonly downstream: readonly ParentedEntry[];
}

/** Activities of the `control` queue for updates. */
export interface UpdateActivities {
  readonly checkUpdate: (input: { request: unknown }) => Promise<UpdateRequest>;
  readonly compareDomain: (input: {
    plan: TrustDomainPlan;
    placed: readonly PlacedGroup[];
    /** By cloud; absent of runs that began before it was asked for. */
    remains?: readonly (SegmentRemains & { readonly cloud: Cloud })[];
    /** Absent where nothing is in a cluster. */
    inClusters?: LookedClusters;
    /** By segment. */
    entries: readonly { readonly segment: string; readonly found: readonly FoundEntry[] }[];
  }) => Promise<Comparison>;
  readonly listEntries: (input: ServerAddress & { parentId: string }) => Promise<FoundEntry[]>;
  /** Of one identity, below whichever parents. */
  readonly listEntriesOf: (input: ServerAddress & { spiffeId: string }) => Promise<ParentedEntry[]>;
  /** Those by which servers stand below this one. */
  readonly listDownstreamEntries: (input: ServerAddress) => Promise<ParentedEntry[]>;
  readonly deleteEntries: (input: ServerAddress & { ids: readonly string[] }) => Promise<void>;
}

/** What is known of something that was taken away. */
export interface NarrowingProof {
  /** A SPIFFE ID, `node …` or `server …`. */
  readonly of: string;
  /** Holders that said themselves that they have nothing of it. */
  readonly shown: number;
  /** Streams to which that has been written. */
  readonly drained: number;
  /** Holders that still have something of it, which ages out. */
  readonly missing: readonly MissingHolder[];
  readonly notes: readonly string[];
  /** RFC 3339: from then on nothing of it is valid, whoever has it. */
  readonly agedOutAt: string;
}

export interface UpdateReport {
  readonly operation: 'updateTrustDomain';
  readonly trustDomain: string;
  readonly requester: string;
  readonly reason: string;
  readonly outcome: 'nothing differs' | 'dry run' | 'updated';
  readonly planDigest: string;
  readonly specDigest: string;
  readonly steps: readonly string[];
  readonly refusals: readonly string[];
  readonly left: readonly string[];
  readonly approvals: readonly GivenApproval[];
  /** Of what was taken away, in that order. */
  readonly proofs: readonly NarrowingProof[];
  readonly startedAt: string;
  readonly endedAt: string;
}

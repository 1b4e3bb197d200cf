// What a rollout of agents is asked, what it looks at and what it reports: plain JSON, nothing secret. Types only.
import type { NodeOutcome } from '../cloud.ts';
import type { InRegion } from '../inputs.ts';
import type { Artifact, InstanceRole, TrustDomainPlan } from '../plan.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';
import type { Finding, GivenApproval, RotationPolicy } from '../trust/rotation.ts';
import type { Tier, Topology } from '../trust/topology.ts';

export interface RollOutPolicy {
  /** Nodes of each segment that go first. */
  readonly canary: number;
  /** Nodes that may be without their agent at the same time: so many, or so much of all of them, as `10%`. */
  readonly maxUnavailable: number | string;
  /** How long a wave is looked at before the next: a duration as text. */
  readonly soak: string;
  /** How long the agents of a wave may take to be healthy. */
  readonly deadline: string;
  /** Nodes that may fail before `onFailure` applies. */
  readonly mayFail: number;
  /** `hold` waits for somebody to say `resume`, `rollBack` or `abort`; `roll back` does so itself. */
  readonly onFailure: 'hold' | 'roll back';
  /** Agents that are newer than a server, or more than one minor version older, are refused (`enforce`) or only told of (`ignore`). */
  readonly versionSkew: 'enforce' | 'ignore';
  readonly approvals: RotationPolicy['approvals'];
  readonly approvers: readonly string[];
}

/** The runtime that agents are to have, and its version. */
export interface ReleasedArtifact extends Artifact {
  readonly version: string;
}

/** A request that was checked. */
export interface RollOutRequest {
  readonly trustDomain: string;
  readonly artifact: ReleasedArtifact;
  /** Names. */
  readonly segments: readonly string[];
  readonly policy: RollOutPolicy;
  readonly dryRun: boolean;
  readonly requester: string;
  readonly reason: string;
  readonly plan: TrustDomainPlan;
}

/** The nodes of one segment and the agent that they are to have. */
export interface SegmentNodes extends InRegion {
  readonly segment: string;
  readonly cloud: Cloud;
  readonly role: InstanceRole;
  readonly artifact: Artifact;
  readonly serverAddress: string;
  /** PEM of the trust domain's X.509 authorities: public. */
  readonly bundlePem: string;
}

export interface FoundNodes {
  /** Digest of the release: of runtime, configuration and bundle together. */
  readonly release: string;
  readonly total: number;
  /** Nodes that have it already. */
  readonly current: number;
  /** Nodes that do not run, and therefore cannot get it. */
  readonly downCount: number;
  /** The first of those that are to get it. */
  readonly next: readonly NamedAgent[];
}

export interface NamedAgent {
  readonly name: string;
  readonly agentId: string;
}

/** Activities of a cloud's queue for the agents on its nodes. */
export interface NodeActivities {
  /** `limit`: of `next`. `without`: names that are left out of it. */
  readonly findNodes: (input: SegmentNodes & { limit: number; without: readonly string[] }) => Promise<FoundNodes>;
  /** Of those that there are. */
  readonly findAgents: (input: InRegion & { role: InstanceRole; names: readonly string[] }) => Promise<NamedAgent[]>;
  /** Cuts the node off whose agent that is; returns its name, or nothing where the cloud lists no such node. */
  readonly isolateAgent: (input: InRegion & { role: InstanceRole; agentId: string }) => Promise<string | undefined>;
  /** Puts the release on the nodes by the cloud's own means and waits until each says how that ended. */
  readonly applyRelease: (
    input: SegmentNodes & { names: readonly string[]; id: string; timeout: string },
  ) => Promise<NodeOutcome[]>;
  /** Puts the release back that was there before. A node that has another release is left alone. */
  readonly leaveRelease: (
    input: SegmentNodes & { names: readonly string[]; id: string; timeout: string },
  ) => Promise<NodeOutcome[]>;
}

/** How the agents of a tier stood before a wave. */
export interface AgentsBefore {
  /** By the tier's own clock, epoch milliseconds: whatever an agent reports later, it reports after this. */
  readonly nowMs: number;
  /** Agents of the wave that workloads were connected to. */
  readonly withStreams: readonly string[];
  /** Agents of the tier, those of the wave left out, that have fallen silent. */
  readonly silentCount: number;
}

export interface OnAgents {
  readonly trustDomain: string;
  readonly tier: Tier;
  readonly agents: readonly NamedAgent[];
}

export interface AgentsHealth {
  readonly healthy: number;
  readonly missing: readonly { readonly name: string; readonly what: string }[];
}

/** Activities of the `control` queue for rollouts. */
export interface RollOutActivities {
  readonly checkRollOut: (input: { request: unknown }) => Promise<RollOutRequest>;
  /** The trust domain's X.509 authorities as a tier has them, PEM. */
  readonly readBundle: (input: { trustDomain: string; tier: Tier }) => Promise<string>;
  /** Whether servers and agents of these versions may meet. */
  readonly compareVersions: (input: {
    topology: Topology;
    segments: readonly string[];
    version: string;
  }) => Promise<Finding[]>;
  readonly lookAtAgents: (input: OnAgents) => Promise<AgentsBefore>;
  /**
   * Waits until each agent has reported since, with that version where one is given, holds the bundle, and has workloads connected where it had; at the
   * deadline says who is missing.
   */
  readonly waitForAgents: (
    input: OnAgents & {
      sinceMs: number;
      withStreams: readonly string[];
      version: string | undefined;
      deadline: string;
    },
  ) => Promise<AgentsHealth>;
}

export interface WaveReport {
  readonly wave: number;
  readonly nodes: number;
  readonly failed: number;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seconds: number;
}

export interface FailedNode {
  readonly segment: string;
  readonly name: string;
  readonly what: string;
}

export interface RollOutReport {
  readonly operation: 'rollOutAgents';
  readonly trustDomain: string;
  readonly artifact: ReleasedArtifact;
  readonly requester: string;
  readonly reason: string;
  readonly outcome: 'rolled out' | 'nothing to do' | 'rolled back' | 'aborted' | 'dry run';
  readonly startedAt: string;
  readonly endedAt: string;
  readonly planDigest: string;
  readonly segments: readonly {
    readonly segment: string;
    readonly release: string;
    readonly total: number;
    readonly current: number;
    readonly down: number;
  }[];
  /** Sizes of the waves as they were planned, the canaries' first. */
  readonly plannedWaves: readonly number[];
  readonly waves: readonly WaveReport[];
  readonly rolled: number;
  readonly failed: readonly FailedNode[];
  readonly findings: readonly Finding[];
  readonly approvals: readonly GivenApproval[];
  readonly notes: readonly string[];
}

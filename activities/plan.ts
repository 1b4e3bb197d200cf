// The plan that a checked specification becomes: every server, node, identity and entry by name. Workflows carry it from phase to phase;
// nothing in it is secret. Types and fixed ports only: it is made in control/plan-trust-domain.ts.
import type { Cloud, ClusterSpec, Platform, TrustDomainSpec } from './spec/trust-domain-spec.ts';

/** What an instance may do in its cloud; each has an identity (role or service account) of its own. */
export type InstanceRole = 'upstream' | `server-${string}` | `node-${string}`;

/** A pool of SPIRE servers on one database: the upstream, or one segment's downstream. */
export interface ServerPool {
  /** `upstream`, or the segment's name. */
  readonly name: string;
  readonly role: 'upstream' | 'downstream';
  readonly cloud: Cloud;
  readonly region: string;
  readonly servers: readonly string[];
  readonly identity: InstanceRole;
  readonly caTtl: string;
  readonly attestors: readonly ('aws_iid' | 'gcp_iit')[];
  /** An authority above the root that is not ours: the servers read its key from their cloud's secret store. */
  readonly authority?: 'disk';
  /** Reads AWS instances by a role of AWS that it assumes with its own cloud's identity. */
  readonly assumesAwsRole: boolean;
}

export interface WorkloadPlan {
  readonly name: string;
  readonly spiffeId: string;
  readonly selectors: readonly string[];
  /** The node that runs the demonstration program for it. */
  readonly node: string;
  readonly servicePort: number;
  readonly controlPort: number;
  readonly peers: readonly string[];
}

export interface SegmentPlan {
  readonly name: string;
  readonly cloud: Cloud;
  readonly region: string;
  readonly pool: ServerPool;
  /** The downstream servers' identity towards the upstream, and what attests it. */
  readonly downstreamId: string;
  readonly downstreamSelectors: readonly string[];
  readonly nodes: readonly string[];
  readonly nodeIdentity: InstanceRole;
  /** All nodes of the segment, whatever their number: workloads hang on it. */
  readonly aliasId: string;
  readonly aliasSelectors: readonly string[];
  readonly workloads: readonly WorkloadPlan[];
}

/** A workload that somebody else runs: it has an entry and no program of ours. */
export type RegisteredWorkload = Pick<WorkloadPlan, 'name' | 'spiffeId' | 'selectors'>;

/** A cluster of Kubernetes that carries a part of the trust domain. */
export interface ClusterPlan {
  readonly name: string;
  readonly platform: Platform;
  /** Of the worker's kubeconfig; absent: the cluster that the worker runs in. */
  readonly context?: string;
  /** The pods of its servers, by name. */
  readonly servers: readonly string[];
  readonly caTtl: string;
  readonly image: string;
  readonly storageClass?: string;
  readonly expose: ClusterSpec['expose'];
  /** The servers' identity towards the upstream, and what attests them to the agent in their own pod. */
  readonly downstreamId: string;
  readonly downstreamSelectors: readonly string[];
  readonly aliasId: string;
  readonly aliasSelectors: readonly string[];
  readonly workloads: readonly RegisteredWorkload[];
}

export interface Artifact {
  readonly url: string;
  readonly sha256: string;
}

/** What differs between the lab and the real clouds, all of it public. */
export interface Substrate {
  /** Root of the shared machine image: replaces `{image}` in selectors; empty on real machines. */
  readonly image: string;
  readonly gcpProject: string;
  readonly awsAccount: string;
  /** PEM of instance identity signing certificates for regions that the attestor does not know, by region. */
  readonly awsRegionCertificates: Readonly<Record<string, string>>;
  /** Where the keys of GCE identity tokens are, when not at Google's own address. */
  readonly gcpCertificatesUrl?: string | undefined;
}

export interface TrustDomainPlan {
  readonly spec: TrustDomainSpec;
  readonly artifact: Artifact;
  readonly substrate: Substrate;
  readonly workerId: string;
  readonly serverId: string;
  readonly places: readonly { readonly cloud: Cloud; readonly region: string }[];
  readonly upstream: ServerPool;
  readonly segments: readonly SegmentPlan[];
  /** Absent where the specification has none. */
  readonly clusters?: readonly ClusterPlan[];
}

/** A machine in a cloud, as the workflows know it. */
export interface Instance {
  readonly name: string;
  readonly cloud: Cloud;
  readonly region: string;
  readonly instanceId: string;
  /** Private address, reachable from the worker and from the other instances. */
  readonly address: string;
  /** The agent ID that this instance gets when it attests with its cloud's instance identity. */
  readonly agentId: string;
  /** RFC 3339: when its cloud started it last; a reboot is no start. */
  readonly launchedAt?: string | undefined;
}

export const serverPort = 8081;
export const healthPort = 8080;

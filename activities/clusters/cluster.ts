// What workflows say of a cluster that carries a part of the trust domain, and get back: plain JSON, nothing secret. Types and names only.
import type { ClusterPlan, TrustDomainPlan } from '../plan.ts';

/** As in the bases of `deploy/kubernetes`: a cluster carries one trust domain's part. */
export const serverNamespace = 'spire-server';
export const agentNamespace = 'spire-system';
export const agentAccount = 'spire-agent';

/** A server's pod. */
export function serverName(index: number): string {
  return `spire-server-${index}`;
}

export function isServer(name: string): boolean {
  return /^spire-server-\d$/.test(name);
}

/** Where a cluster is: of one that is in no specification any more this is known. */
export type ClusterPlace = Pick<ClusterPlan, 'name' | 'context'>;

export interface AtCluster {
  readonly trustDomain: string;
  readonly cluster: ClusterPlace;
}

export interface InCluster {
  readonly trustDomain: string;
  readonly cluster: ClusterPlan;
}

/** `owner`: the run that owns what is made. */
export interface OwnedInCluster extends InCluster {
  readonly owner: string;
}

export interface ClusterResource {
  readonly kind: string;
  /** `namespace/name`, or the name alone where it is in no namespace. */
  readonly name: string;
  readonly owner: string | undefined;
}

/** What the servers' pods are to the upstream: nodes, each with a certificate of its own. */
export interface ServerNodes {
  /** PEM of the authority that signed for them, whose key nobody has. */
  readonly certificatePem: string;
  /** In the order of the servers. */
  readonly agentIds: readonly string[];
}

export interface ServerNode {
  /** The server's. */
  readonly name: string;
  readonly agentId: string;
}

export interface FoundServer {
  readonly name: string;
  /** Absent where its cluster gives it none now. */
  readonly address?: string;
}

/** What servers were made with and keep. */
export interface ServerSettings {
  readonly storageClass?: string;
  readonly expose: ClusterPlan['expose'];
  readonly caTtl: string;
}

/** What a cluster has of the trust domain. */
export interface FoundCluster extends ClusterPlace {
  /** Of its first object: the same, however the cluster is reached. */
  readonly uid: string;
  /** The run that made it. */
  readonly owner: string;
  /** Of servers and agents, the servers' first; more than one where a change was not finished. */
  readonly images: readonly string[];
  /** Those that are to run. */
  readonly servers: readonly FoundServer[];
  /** Servers of which something is left, and which are to run no more. */
  readonly left: readonly string[];
  /** Those for which there are certificates, whether they run or not. */
  readonly nodes: readonly ServerNode[];
  /** Null where there are no servers. */
  readonly settings: ServerSettings | null;
}

export interface OtherClusters {
  readonly found: readonly FoundCluster[];
  /** Contexts that could not be asked, and why. */
  readonly silent: readonly string[];
}

export interface ClusterServer {
  readonly name: string;
  /** `host:port`, as the control plane reaches it. */
  readonly address: string;
}

/** A node of the cluster, and the agent that it is by k8s_psat. */
export interface ClusterNode {
  readonly name: string;
  readonly agentId: string;
}

export interface PlaceClusterServer extends OwnedInCluster {
  readonly plan: TrustDomainPlan;
  readonly upstream: { readonly address: string; readonly bundlePem: string };
}

/** Activities of the queue `kubernetes`, whose workers may touch the clusters. */
export interface ClusterActivities {
  /** Everything of the trust domain that the cluster has. */
  readonly listClusterResources: (input: InCluster) => Promise<ClusterResource[]>;
  /** Keys made here go straight into a Secret of the cluster; what is answered is public, and the same when asked again. */
  readonly ensureClusterServerNodes: (input: OwnedInCluster) => Promise<ServerNodes>;
  readonly ensureClusterServer: (input: PlaceClusterServer) => Promise<void>;
  /** Ends when the database and every server are ready, as they are wanted now; says where the servers are. */
  readonly waitForClusterServer: (input: InCluster) => Promise<ClusterServer[]>;
  readonly ensureClusterAgents: (input: OwnedInCluster & { plan: TrustDomainPlan }) => Promise<void>;
  /** Ends when every node that is to have an agent has one that is ready. */
  readonly waitForClusterAgents: (input: InCluster) => Promise<ClusterNode[]>;
  /** Asked by updates that began before clusters could be changed: null, by which they refuse to. */
  readonly readClusterSettings: (input: InCluster) => Promise<null>;
  /** Null where it has nothing of the trust domain. */
  readonly readCluster: (input: AtCluster) => Promise<FoundCluster | null>;
  /** What clusters have of the trust domain that the worker's kubeconfig leads to and none of the named contexts does. */
  readonly findClusters: (input: {
    readonly trustDomain: string;
    /** An absent one is the cluster that the worker runs in. */
    readonly beside: readonly { readonly context?: string }[];
  }) => Promise<OtherClusters>;
  /** What servers beyond those of the plan leave: ends when their pods, volumes and Services are gone. */
  readonly removeClusterServers: (input: InCluster) => Promise<void>;
  /** With an owner, what that run made and nothing else. Ends when it is gone. */
  readonly removeCluster: (input: AtCluster & { owner?: string }) => Promise<void>;
}

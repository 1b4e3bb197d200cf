// What workflows say of a cluster that carries a part of the trust domain, and get back: plain JSON, nothing secret. Types and names only.
import type { ClusterPlan, TrustDomainPlan } from '../plan.ts';

/** As in the bases of `deploy/kubernetes`: a cluster carries one trust domain's part. */
export const serverNamespace = 'spire-server';
export const agentNamespace = 'spire-system';
export const agentAccount = 'spire-agent';

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
  /** What the servers were made with; null where there are none. */
  readonly readClusterSettings: (input: InCluster) => Promise<string | null>;
  /** With an owner, what that run made and nothing else. Ends when it is gone. */
  readonly removeCluster: (input: InCluster & { owner?: string }) => Promise<void>;
}

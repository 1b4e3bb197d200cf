// What workflows hand to activities and get back: plain JSON, nothing secret. Types only.
import type { NodeWorkload } from './boot/node.ts';
import type { WorkerNode } from './boot/server.ts';
import type { CloudResource, InstanceIdentity, InstanceRights } from './cloud.ts';
import type { ClusterNode } from './clusters/cluster.ts';
import type { DrillCloudActivities } from './drills/drill.ts';
import type { NodeActivities } from './rollout/rollout.ts';
import type { Instance, InstanceRole, ServerPool, TrustDomainPlan } from './plan.ts';
import type { PlacingActivities } from './update/update.ts';
import type { Cloud, TrustDomainSpec } from './spec/trust-domain-spec.ts';

/** Which trust domain, and on which infrastructure its clouds are. */
export interface Where {
  readonly trustDomain: string;
  readonly infrastructure: TrustDomainSpec['infrastructure'];
}

export interface InRegion extends Where {
  readonly region: string;
}

/** A server pool and where it is; runs that began before that was asked say no region, and mean the worker's own. */
export interface InPool extends Where {
  readonly pool: string;
  readonly region?: string;
}

export interface OneInstance extends InRegion {
  readonly name: string;
}

/** A server to talk to, as the worker sees it. */
export interface ServerAddress {
  readonly trustDomain: string;
  readonly address: string;
}

export interface Entry {
  readonly spiffeId: string;
  readonly parentId: string;
  /** `type:value`. */
  readonly selectors: readonly string[];
  readonly downstream?: boolean;
}

/** A certificate as reports show it. */
export interface CertificateReport {
  readonly subject: string;
  readonly uris: readonly string[];
  readonly serialNumber: string;
  /** RFC 3339. */
  readonly notAfter: string;
  readonly sha256: string;
}

export interface PlaceServer extends InRegion {
  readonly plan: TrustDomainPlan;
  readonly pool: ServerPool;
  readonly name: string;
  readonly owner: string;
  readonly awsRoleArn: string | undefined;
  readonly worker: WorkerNode | undefined;
  /** Absent where the specification has no clusters. */
  readonly clusterNodes?: string;
  readonly upstream: { readonly address: string; readonly bundlePem: string } | undefined;
}

export interface PlaceNode extends InRegion {
  readonly plan: TrustDomainPlan;
  readonly segment: string;
  readonly cloud: Cloud;
  readonly name: string;
  readonly owner: string;
  readonly serverAddress: string;
  readonly bundlePem: string;
  readonly workloads: readonly NodeWorkload[];
}

/** Activities of one cloud; the same names on the task queue of each cloud. */
export interface CloudActivities extends NodeActivities, PlacingActivities, DrillCloudActivities {
  readonly ensureNetwork: (input: InRegion) => Promise<void>;
  readonly removeNetwork: (input: InRegion) => Promise<void>;
  readonly ensureInstanceIdentity: (
    input: Where & { role: InstanceRole; rights: InstanceRights },
  ) => Promise<InstanceIdentity>;
  readonly removeInstanceIdentity: (input: Where & { role: InstanceRole }) => Promise<void>;
  readonly ensureFederatedRole: (input: Where & { subject: string; audience: string }) => Promise<string>;
  readonly removeFederatedRole: (input: Where) => Promise<void>;
  /** A database and a role of its own for a server pool; the address goes straight into the cloud's secret store. Returns the secret's name. */
  readonly ensureDatastore: (input: InPool) => Promise<string>;
  /** The files of the authority above the root, from the worker's own directory straight into the cloud's secret store. Returns the secrets' names. */
  readonly ensureUpstreamAuthority: (input: Where & { caTtl: string; region?: string }) => Promise<string[]>;
  readonly removeUpstreamAuthority: (input: Where & { region?: string }) => Promise<void>;
  readonly removeDatastore: (input: InPool) => Promise<void>;
  readonly ensureServerInstance: (input: PlaceServer) => Promise<void>;
  readonly ensureNodeInstance: (input: PlaceNode) => Promise<void>;
  readonly removeInstance: (input: OneInstance) => Promise<void>;
  readonly waitForInstance: (input: OneInstance) => Promise<Instance>;
  /** The SHA-256 digests of X.509 authorities that the instance printed on its console. */
  readonly readBundleDigests: (input: OneInstance) => Promise<string[]>;
  readonly listResources: (input: Where & { regions: readonly string[] }) => Promise<CloudResource[]>;
}

/** Activities on the `control` queue: the specification, the worker's own identity, and everything said to SPIRE servers and workloads. */
export interface ControlActivities {
  readonly planTrustDomain: (input: { spec: unknown }) => Promise<TrustDomainPlan>;
  readonly ensureWorkerKey: (input: { trustDomain: string }) => Promise<WorkerNode>;
  /** Checks GetBundle of the first upstream against the digests on the consoles; returns the bundle as PEM. */
  readonly verifyFirstBundle: (input: ServerAddress & { digests: readonly string[] }) => Promise<string>;
  readonly ensureWorkerIdentity: (input: ServerAddress & { bundlePem: string; agentId: string }) => Promise<void>;
  readonly removeWorkerIdentity: (input: { trustDomain: string }) => Promise<void>;
  readonly waitForServer: (input: ServerAddress) => Promise<void>;
  readonly waitForAgent: (input: ServerAddress & { agentId: string }) => Promise<void>;
  /** The same for many at once, which attest by one method: names who is missing. */
  readonly waitForAttestedAgents: (
    input: ServerAddress & { method: string; agents: readonly ClusterNode[] },
  ) => Promise<void>;
  /** Evicts the agent if its SVID has expired, so that it may attest again; says whether it did. */
  readonly readmitAgent: (input: ServerAddress & { agentId: string }) => Promise<boolean>;
  readonly ensureEntry: (input: ServerAddress & { entry: Entry }) => Promise<string>;
  /** The server's own chain: proves that its CA is an intermediate under the trust domain's root. Returns the intermediate. */
  readonly verifyIntermediate: (input: ServerAddress & { caTtl: string }) => Promise<CertificateReport>;
  /** The workload's own report of its identity and chain. */
  readonly waitForWorkload: (input: { trustDomain: string; workload: WorkloadAddress }) => Promise<WorkloadReport>;
  /** `from` connects anew to `to`; both report what they saw. */
  readonly verifyHandshake: (input: {
    trustDomain: string;
    from: WorkloadAddress;
    to: WorkloadAddress;
  }) => Promise<HandshakeReport>;
  /** The worker's own identity, which no workload admits, is refused; the workload says so itself. */
  readonly verifyRefusal: (input: { trustDomain: string; workload: WorkloadAddress }) => Promise<RefusalReport>;
}

export interface WorkloadAddress {
  readonly spiffeId: string;
  readonly address: string;
  readonly servicePort: number;
  readonly controlPort: number;
}

export interface WorkloadReport {
  readonly spiffeId: string;
  /** Leaf first, then intermediates, then the root that it ends at. */
  readonly chain: readonly CertificateReport[];
}

export interface HandshakeReport {
  readonly from: string;
  readonly to: string;
  /** Whom the caller saw, by its own report, and whom the called side saw, by its own. */
  readonly sawPeer: string;
  readonly seenAs: string;
  readonly peerLeafSha256: string;
}

export interface RefusalReport {
  readonly workload: string;
  readonly refused: string;
  readonly reason: string;
}

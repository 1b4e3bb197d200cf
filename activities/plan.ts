// The plan that a checked specification becomes: every instance, identity and entry by name. Workflows carry it from phase to phase;
// nothing in it is secret. Types and pure derivations only.
import type { Cloud, SegmentSpec, TrustDomainSpec } from './spec/trust-domain-spec.ts';

/** A pool of SPIRE servers on one database: the upstream, or one segment's downstream. */
export interface ServerPool {
  /** `upstream`, or the segment's name. */
  readonly name: string;
  readonly role: 'upstream' | 'downstream';
  readonly cloud: Cloud;
  readonly region: string;
  readonly servers: readonly string[];
}

/** What an instance may do in its cloud; each has an identity (role or service account) of its own. */
export type InstanceRole = 'upstream' | `server-${string}` | `node-${string}`;

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
  readonly gcpCertificatesUrl: string | undefined;
}

export interface TrustDomainPlan {
  readonly spec: TrustDomainSpec;
  readonly artifact: Artifact;
  readonly substrate: Substrate;
  readonly clouds: readonly Cloud[];
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
}

export const serverPort = 8081;
export const healthPort = 8080;

export function upstreamPool(spec: TrustDomainSpec): ServerPool {
  const { cloud, region, servers } = spec.upstream;
  return { name: 'upstream', role: 'upstream', cloud, region, servers: numbered('upstream', servers) };
}

export function segmentPool(segment: SegmentSpec): ServerPool {
  const { name, cloud, region } = segment;
  return { name, role: 'downstream', cloud, region, servers: numbered(`${name}-server`, segment.servers) };
}

export function nodeNames(segment: SegmentSpec): string[] {
  return numbered(`${segment.name}-node`, segment.nodes);
}

function numbered(stem: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${stem}-${index}`);
}

/** The port a segment's n-th workload serves its peers on; its control port is the next one. */
export function workloadPort(indexInSegment: number): number {
  return 9443 + 2 * indexInSegment;
}

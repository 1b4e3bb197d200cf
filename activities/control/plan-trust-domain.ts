// From a checked specification to the plan: every name, identity and selector that the run will use. Pure but for what it is given.
import { accountEmail } from '../clients/gcp-identities.ts';
import { stem } from '../cloud.ts';
import type { Artifact, SegmentPlan, ServerPool, Substrate, TrustDomainPlan, WorkloadPlan } from '../plan.ts';
import { planCluster } from './plan-cluster.ts';
import { downstreamServerPath, nodeAliasPath, serverProgram, workerPath } from '../spec/identities.ts';
import { workloadIdOf } from './workload-ids.ts';
import type { SegmentSpec, TrustDomainSpec } from '../spec/trust-domain-spec.ts';

/** The first workload of a node serves its peers here; its control port is the next one. */
const firstWorkloadPort = 9443;

export function planTrustDomain(spec: TrustDomainSpec, artifact: Artifact, substrate: Substrate): TrustDomainPlan {
  const prefix = `spiffe://${spec.trustDomain}`;
  const clouds = [spec.upstream, ...spec.segments].map(({ cloud, region }) => ({ cloud, region }));
  const places = clouds.filter(
    (place, index) => index === clouds.findIndex((p) => p.cloud === place.cloud && p.region === place.region),
  );
  return {
    spec,
    artifact,
    substrate,
    places,
    workerId: `${prefix}${workerPath}`,
    serverId: `${prefix}/spire/server`,
    upstream: planUpstream(spec),
    segments: spec.segments.map((segment) => planSegment(spec, segment, substrate)),
    ...(spec.clusters === undefined ? {} : { clusters: spec.clusters.map((cluster) => planCluster(spec, cluster)) }),
  };
}

function planUpstream(spec: TrustDomainSpec): ServerPool {
  const { cloud, region, servers, authority } = spec.upstream;
  const attestors = [...new Set(spec.segments.map(({ attestor }) => attestor))].sort();
  return {
    name: 'upstream',
    role: 'upstream',
    cloud,
    region,
    servers: numbered('upstream', servers),
    identity: 'upstream',
    caTtl: spec.ttl.root,
    attestors,
    assumesAwsRole: cloud !== 'aws' && attestors.includes('aws_iid'),
    ...(authority === 'disk' ? { authority } : {}),
  };
}

function planSegment(spec: TrustDomainSpec, segment: SegmentSpec, substrate: Substrate): SegmentPlan {
  const { name, cloud, region } = segment;
  const prefix = `spiffe://${spec.trustDomain}`;
  const nodes = numbered(`${name}-node`, segment.nodes);
  const pool: ServerPool = {
    name,
    role: 'downstream',
    cloud,
    region,
    servers: numbered(`${name}-server`, segment.servers),
    identity: `server-${name}`,
    caTtl: segment.intermediateTtl,
    attestors: [segment.attestor],
    assumesAwsRole: false,
  };
  return {
    name,
    cloud,
    region,
    pool,
    downstreamId: `${prefix}${downstreamServerPath(cloud, name)}`,
    downstreamSelectors: [`unix:path:${substrate.image}${serverProgram}`],
    nodes,
    nodeIdentity: `node-${name}`,
    aliasId: `${prefix}${nodeAliasPath(cloud, name)}`,
    aliasSelectors: aliasSelectors(spec, segment, substrate),
    workloads: planWorkloads(spec, segment, nodes, substrate),
  };
}

/** What all nodes of a segment prove with their instance identity and nobody else can: the account or project, and the identity they run as. */
function aliasSelectors(
  { trustDomain }: TrustDomainSpec,
  { cloud, name }: SegmentSpec,
  substrate: Substrate,
): string[] {
  const { awsAccount, gcpProject } = substrate;
  return cloud === 'aws'
    ? [
        `aws_iid:account_id:${awsAccount}`,
        `aws_iid:iamrole:arn:aws:iam::${awsAccount}:role/${stem(trustDomain)}-node-${name}`,
      ]
    : [`gcp_iit:project-id:${gcpProject}`, `gcp_iit:sa:${accountEmail(gcpProject, trustDomain, `node-${name}`)}`];
}

function planWorkloads(
  spec: TrustDomainSpec,
  segment: SegmentSpec,
  nodes: readonly string[],
  substrate: Substrate,
): WorkloadPlan[] {
  const ids = spec.workloads.map((workload) => workloadIdOf(spec, workload));
  return spec.workloads
    .filter((workload) => workload.segment === segment.name)
    .map((workload, index) => {
      const spiffeId = workloadIdOf(spec, workload);
      return {
        name: workload.name,
        spiffeId,
        selectors: workload.selectors.map((selector) => selector.replaceAll('{image}', substrate.image)),
        node: nodes[index % nodes.length] ?? '',
        servicePort: firstWorkloadPort + 2 * index,
        controlPort: firstWorkloadPort + 2 * index + 1,
        peers: ids.filter((id) => id !== spiffeId),
      };
    });
}

function numbered(stem: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${stem}-${index}`);
}

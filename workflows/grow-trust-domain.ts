// The story of a bootstrap: every phase is gated on proof of the one before, and what each begins is registered to be undone first.
// Entries and agents need no undo of their own: they live in the servers' databases and go with them.
import { ApplicationFailure, executeChild } from '@temporalio/workflow';
import type { Instance, SegmentPlan, ServerPool, TrustDomainPlan } from '../activities/plan.ts';
import { issueIntermediate } from './issue-intermediate.ts';
import { growCluster, listClusters, prepareClusters } from './grow-cluster.ts';
import type { PreparedCluster } from './grow-cluster.ts';
import { onCloud, onControl } from './lib/calls.ts';
import type { ProgressKeeper } from './lib/progress.ts';
import {
  authorityRemovals,
  datastoreRemoval,
  federatedRoleRemoval,
  identityRemoval,
  networkRemoval,
  nodeRemovals,
  serverRemovals,
  whereOf,
  workerIdentityRemoval,
} from './lib/removals.ts';
import { saga, settleAll } from './lib/saga.ts';
import { poolsOf } from './lib/topology.ts';
import type { Undo } from './lib/saga.ts';
import { workflowId } from './lib/workflow-ids.ts';
import { provisionServer } from './provision-server.ts';
import { registerWorkloads } from './register-workloads.ts';
import { startNodes } from './roll-out-agents.ts';
import type { StartNodesInput } from './roll-out-agents.ts';
import { verifyTrustDomain } from './verify-trust-domain.ts';
import type { TrustDomainReport } from './verify-trust-domain.ts';

export interface GrowInput {
  readonly spec: unknown;
  /** The run that owns what is made. */
  readonly owner: string;
}

/** What the upstream gives to every segment. */
export interface Root {
  readonly address: string;
  readonly bundlePem: string;
}

/** The web identity of the upstream's host is asked for with this audience. */
const audience = 'espalier';

export const wholePhases = {
  before: ['plan', 'infrastructure', 'overlay', 'upstream'],
  after: ['validation'],
} as const;
export const segmentPhases = ['downstream', 'agents', 'entries', 'workloads'] as const;

export function growTrustDomain(
  plan: TrustDomainPlan,
  owner: string,
  progress: ProgressKeeper,
): Promise<TrustDomainReport> {
  return saga(async (undo) => {
    await progress.phase('plan', () => refuseOccupied(plan, owner));
    const awsRoleArn = await progress.phase('infrastructure', () => layInfrastructure(plan, undo));
    progress.skip('overlay'); // its place in the order: instances of one network need none
    const { clusters, ...root } = await progress.phase('upstream', () => raiseUpstream(plan, owner, awsRoleArn, undo));
    await settleAll([
      ...plan.segments.map((segment) => growSegment(plan, segment, root, owner, progress, undo)),
      ...clusters.map(({ cluster, nodes }) =>
        growCluster({ plan, cluster, owner, nodes, upstream: root }, progress, (serverAddress) => {
          const input = { plan, segment: cluster, serverAddress };
          return runChild(plan, registerWorkloads, 'registerWorkloads', input, cluster.name);
        }),
      ),
    ]);
    return progress.phase('validation', () =>
      runChild(plan, verifyTrustDomain, 'verifyTrustDomain', { spec: plan.spec }),
    );
  }, progress.undoing);
}

/** What exists already belongs to another run: it is neither taken over nor, later, undone. */
async function refuseOccupied(plan: TrustDomainPlan, owner: string): Promise<void> {
  const clouds = [...new Set(plan.places.map(({ cloud }) => cloud))];
  const found = await Promise.all(
    clouds.map(async (cloud) => {
      const regions = plan.places.filter((place) => place.cloud === cloud).map(({ region }) => region);
      const resources = await onCloud(cloud, 'validation').listResources({ ...whereOf(plan.spec), regions });
      return resources
        .filter((resource) => resource.owner !== owner)
        .map(({ kind, name }) => `${cloud} ${kind} ${name}`);
    }),
  );
  const inClusters = (await listClusters(plan, 'validation'))
    .filter((resource) => resource.owner !== owner)
    .map(({ kind, name }) => `cluster ${kind} ${name}`);
  const occupied = [...found.flat(), ...inClusters];
  if (occupied.length === 0) return;
  throw ApplicationFailure.create({
    type: 'Conflict',
    nonRetryable: true,
    message: `trust domain ${plan.spec.trustDomain} exists already: ${occupied.join(', ')}; run tearDownTrustDomain first`,
  });
}

/** Networks, databases with their secrets, and an identity for each kind of instance. Returns the role that lets the upstream see AWS. */
async function layInfrastructure(plan: TrustDomainPlan, undo: Undo): Promise<string | undefined> {
  const { spec, segments } = plan;
  const where = whereOf(spec);

  const networks = plan.places.map(async ({ cloud, region }): Promise<undefined> => {
    undo(networkRemoval(spec, cloud, region));
    await onCloud(cloud, 'infrastructure').ensureNetwork({ ...where, region });
  });
  const servers = poolsOf(plan).map(async (pool) => {
    const cloud = onCloud(pool.cloud, 'infrastructure');
    const authority = pool.authority === undefined ? [] : await giveAuthority(plan, pool, undo);
    undo(datastoreRemoval(spec, pool));
    const secret = await cloud.ensureDatastore({ ...where, pool: pool.name, region: pool.region });
    undo(identityRemoval(spec, pool.cloud, pool.identity));
    const rights = {
      secrets: [...authority, secret],
      describeInstances: pool.cloud === 'aws' && pool.attestors.includes('aws_iid'),
    };
    const { subject } = await cloud.ensureInstanceIdentity({ ...where, role: pool.identity, rights });
    return pool.assumesAwsRole ? allowAwsReading(plan, subject, undo) : undefined;
  });
  const nodes = segments.map(async ({ cloud, nodeIdentity }): Promise<undefined> => {
    undo(identityRemoval(spec, cloud, nodeIdentity));
    const rights = { secrets: [], describeInstances: false, takesCommands: true };
    await onCloud(cloud, 'infrastructure').ensureInstanceIdentity({ ...where, role: nodeIdentity, rights });
  });
  const settled = await settleAll([...networks, ...servers, ...nodes]);
  return settled.find((arn) => arn !== undefined);
}

/** The key of an authority above the root, in the store of the servers' cloud, for their identity alone. Returns the secrets' names. */
async function giveAuthority({ spec }: TrustDomainPlan, pool: ServerPool, undo: Undo): Promise<string[]> {
  undoAll(undo, authorityRemovals(spec, pool));
  return onCloud(pool.cloud, 'infrastructure').ensureUpstreamAuthority({
    ...whereOf(spec),
    caTtl: pool.caTtl,
    region: pool.region,
  });
}

/** Federated rights, never copied keys: the upstream proves its own cloud's identity to AWS. */
async function allowAwsReading(plan: TrustDomainPlan, subject: string | undefined, undo: Undo): Promise<string> {
  if (subject === undefined) {
    throw ApplicationFailure.create({
      type: 'Unsupported',
      nonRetryable: true,
      message: "the upstream's cloud gives its instances no subject for AWS to trust",
    });
  }
  undo(federatedRoleRemoval(plan.spec));
  return onCloud('aws', 'infrastructure').ensureFederatedRole({ ...whereOf(plan.spec), subject, audience });
}

/** The root of trust, the first bundle checked against the consoles, and the worker's own identity. */
async function raiseUpstream(
  plan: TrustDomainPlan,
  owner: string,
  awsRoleArn: string | undefined,
  undo: Undo,
): Promise<Root & { readonly clusters: readonly PreparedCluster[] }> {
  const { spec, upstream: pool } = plan;
  const { trustDomain } = spec;
  const control = onControl('spire');
  undo(workerIdentityRemoval(spec));
  const worker = await control.ensureWorkerKey({ trustDomain });
  const clusters = await prepareClusters(plan, owner, undo);

  undoAll(undo, serverRemovals(spec, pool));
  const input = {
    ...{ plan, pool, owner, worker },
    ...(awsRoleArn === undefined ? {} : { awsRoleArn }),
    ...(clusters.length === 0 ? {} : { clusterNodes: clusters.map(({ nodes }) => nodes.certificatePem).join('') }),
  };
  const servers = await runChild(plan, provisionServer, 'provisionServer', input, pool.name);
  const digests = await settleAll(
    servers.map(({ name, region, cloud }) =>
      onCloud(cloud, 'spire').readBundleDigests({ ...whereOf(spec), region, name }),
    ),
  );
  const { address } = first(servers, pool);
  const bundlePem = await control.verifyFirstBundle({ trustDomain, address, digests: digests.flat() });
  await control.ensureWorkerIdentity({ trustDomain, address, bundlePem, agentId: worker.agentId });
  return { address, bundlePem, clusters };
}

export async function growSegment(
  plan: TrustDomainPlan,
  segment: SegmentPlan,
  root: Root,
  owner: string,
  progress: Pick<ProgressKeeper, 'phase'>,
  undo: Undo,
): Promise<void> {
  const { spec } = plan;
  const { name, pool } = segment;
  const serverAddress = await progress.phase(`downstream ${name}`, async () => {
    undoAll(undo, serverRemovals(spec, pool));
    const servers = await runChild(
      plan,
      provisionServer,
      'provisionServer',
      { plan, pool, owner, upstream: root },
      name,
    );
    await runChild(
      plan,
      issueIntermediate,
      'issueIntermediate',
      { plan, segment, upstreamAddress: root.address, servers },
      name,
    );
    return first(servers, pool).address;
  });
  const nodes = await progress.phase(`agents ${name}`, () => {
    undoAll(undo, nodeRemovals(spec, segment));
    const input: StartNodesInput = { plan, segment, owner, serverAddress, bundlePem: root.bundlePem };
    return runChild(plan, startNodes, 'rollOutAgents', input, name);
  });
  await progress.phase(`entries ${name}`, () =>
    runChild(plan, registerWorkloads, 'registerWorkloads', { plan, segment, serverAddress }, name),
  );
  await progress.phase(`workloads ${name}`, () => waitForWorkloads(plan, segment, nodes));
}

export async function waitForWorkloads(
  plan: TrustDomainPlan,
  { workloads }: SegmentPlan,
  nodes: readonly Instance[],
): Promise<void> {
  const { waitForWorkload } = onControl('workloads');
  await settleAll(
    workloads.flatMap(({ spiffeId, node, servicePort, controlPort }) =>
      nodes
        .filter(({ name }) => name === node)
        .map(({ address }) =>
          waitForWorkload({
            trustDomain: plan.spec.trustDomain,
            workload: { spiffeId, address, servicePort, controlPort },
          }),
        ),
    ),
  );
}

/** A child under an id of its own; a cancellation waits until the child has ended, so that nothing is made behind the undo's back. */
export function runChild<Input, Output>(
  { spec }: TrustDomainPlan,
  workflow: (input: Input) => Promise<Output>,
  type: string,
  input: Input,
  ...subject: string[]
): Promise<Output> {
  return executeChild(type, {
    args: [input],
    workflowId: workflowId(type, spec.trustDomain, ...subject),
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    parentClosePolicy: 'REQUEST_CANCEL',
  }) as Promise<Awaited<ReturnType<typeof workflow>>>;
}

function undoAll(undo: Undo, removals: readonly Parameters<Undo>[0][]): void {
  for (const removal of removals) undo(removal);
}

function first(servers: readonly Instance[], pool: ServerPool): Instance {
  const [server] = servers;
  if (server === undefined)
    throw ApplicationFailure.create({
      type: 'InvalidRequest',
      nonRetryable: true,
      message: `pool ${pool.name} has no server`,
    });
  return server;
}

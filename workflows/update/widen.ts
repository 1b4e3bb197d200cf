// Everything that an update adds: segments grown and proven whole, servers, nodes and workloads of segments that are there. Each thing that is begun is
// registered to be undone first.
import type { SegmentPlan, TrustDomainPlan } from '../../activities/plan.ts';
import type { Comparison, SegmentChange } from '../../activities/update/update.ts';
import { growSegment, runChild } from '../grow-trust-domain.ts';
import type { Root } from '../grow-trust-domain.ts';
import { issueIntermediate } from '../issue-intermediate.ts';
import { onCloud, onRollOut } from '../lib/calls.ts';
import type { Operator } from '../lib/operator.ts';
import {
  datastoreRemoval,
  identityRemoval,
  networkRemoval,
  nodeRemovals,
  serverRemovals,
  whereOf,
} from '../lib/removals.ts';
import { required } from '../lib/required.ts';
import type { Undo } from '../lib/saga.ts';
import { provisionServer } from '../provision-server.ts';
import { registerWorkloads } from '../register-workloads.ts';
import { startNodes } from '../roll-out-agents.ts';
import type { StartNodesInput } from '../roll-out-agents.ts';
import { forgetEntries } from './forget-entries.ts';
import { placeWorkloads } from './place-workloads.ts';
import { widenCluster } from './widen-clusters.ts';

export interface WidenInput {
  readonly plan: TrustDomainPlan;
  readonly comparison: Comparison;
  /** The run that owns what is made. */
  readonly owner: string;
  readonly operator: Operator;
  readonly undo: Undo;
}

export async function widen(input: WidenInput): Promise<void> {
  const { plan, comparison, owner, operator, undo } = input;
  const { upstream } = plan;
  const address = await addressOf(plan, upstream, upstream.servers[0]);
  const tier = { name: upstream.name, servers: [{ name: upstream.name, address }] };
  const root: Root = {
    address,
    bundlePem: await onRollOut().readBundle({ trustDomain: plan.spec.trustDomain, tier }),
  };
  // Phases of segments are the bootstrap's; here they are part of one.
  const progress = { phase: <T>(_name: string, act: () => Promise<T>) => act() };
  for (const name of comparison.addSegments) {
    await operator.safePoint();
    const segment = segmentOf(plan, name);
    await laySegment(plan, segment, comparison, undo);
    await growSegment(plan, segment, root, owner, progress, undo);
  }
  for (const change of comparison.changes) {
    await operator.safePoint();
    await widenSegment(input, root, change);
  }
  for (const change of comparison.changeClusters ?? []) {
    await operator.safePoint();
    await widenCluster(input, root, change);
  }
  await placeWorkloads(plan, comparison, 'start');
}

/** As a bootstrap's infrastructure, of one segment; the network may be there for another one. */
async function laySegment(
  { spec }: TrustDomainPlan,
  { cloud, region, pool, nodeIdentity }: SegmentPlan,
  { addSegments }: Comparison,
  undo: Undo,
): Promise<void> {
  const where = whereOf(spec);
  const act = onCloud(cloud, 'infrastructure');
  const isShared =
    (spec.upstream.cloud === cloud && spec.upstream.region === region) ||
    spec.segments.some((one) => one.cloud === cloud && one.region === region && !addSegments.includes(one.name));
  if (!isShared) undo(networkRemoval(spec, cloud, region));
  await act.ensureNetwork({ ...where, region });
  undo(datastoreRemoval(spec, pool));
  const secret = await act.ensureDatastore({ ...where, pool: pool.name, region });
  undo(identityRemoval(spec, cloud, pool.identity));
  const describeInstances = cloud === 'aws' && pool.attestors.includes('aws_iid');
  await act.ensureInstanceIdentity({ ...where, role: pool.identity, rights: { secrets: [secret], describeInstances } });
  undo(identityRemoval(spec, cloud, nodeIdentity));
  const rights = { secrets: [], describeInstances: false, takesCommands: true };
  await act.ensureInstanceIdentity({ ...where, role: nodeIdentity, rights });
}

async function widenSegment({ plan, owner, undo }: WidenInput, root: Root, change: SegmentChange): Promise<void> {
  const { spec } = plan;
  const segment = segmentOf(plan, change.segment);
  const { name, pool } = segment;
  if (change.addServers.length > 0) {
    const added = { ...pool, servers: change.addServers };
    for (const removal of serverRemovals(spec, added)) undo(removal);
    const servers = await runChild(
      plan,
      provisionServer,
      'provisionServer',
      { plan, pool: added, owner, upstream: root },
      name,
    );
    const issue = { plan, segment, upstreamAddress: root.address, servers };
    await runChild(plan, issueIntermediate, 'issueIntermediate', issue, name);
  }
  // The first server of those that stay and were there.
  const standing = pool.servers.find((server) => !change.addServers.includes(server)) ?? pool.servers[0];
  const serverAddress = await addressOf(plan, pool, standing);
  if (change.addNodes.length > 0) {
    const added = { ...segment, nodes: change.addNodes };
    for (const removal of nodeRemovals(spec, added)) undo(removal);
    const input: StartNodesInput = { plan, segment: added, owner, serverAddress, bundlePem: root.bundlePem };
    await runChild(plan, startNodes, 'rollOutAgents', input, name);
  }
  if (change.addWorkloads.length > 0) {
    const on = { trustDomain: spec.trustDomain, address: serverAddress };
    undo({
      name: `entries of ${change.addWorkloads.join(', ')}`,
      run: () => forgetEntries(on, segment.aliasId, change.addWorkloads, change.removeEntries),
    });
    await runChild(plan, registerWorkloads, 'registerWorkloads', { plan, segment, serverAddress }, name);
  }
}

function segmentOf({ segments }: TrustDomainPlan, name: string): SegmentPlan {
  return required(
    segments.find((segment) => segment.name === name),
    `no segment has the name ${JSON.stringify(name)}`,
  );
}

async function addressOf(
  plan: TrustDomainPlan,
  { cloud, region, name: pool }: Pick<TrustDomainPlan['upstream'], 'cloud' | 'region' | 'name'>,
  server: string | undefined,
): Promise<string> {
  const name = required(server, `pool ${pool} has no server`);
  return (await onCloud(cloud, 'spire').waitForInstance({ ...whereOf(plan.spec), region, name })).address;
}

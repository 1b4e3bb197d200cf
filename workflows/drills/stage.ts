// Where a drill is played: the servers, nodes and workloads of the plan with the addresses that their clouds give them.
import type { AddressedWorkload, DrillRequest } from '../../activities/drills/drill.ts';
import type { Instance, SegmentPlan, TrustDomainPlan } from '../../activities/plan.ts';
import type { Tier, Topology } from '../../activities/trust/topology.ts';
import { required } from '../lib/required.ts';
import { settleAll } from '../lib/saga.ts';
import { findInstances, findTopology, poolsOf } from '../lib/topology.ts';

export interface DrillStage {
  readonly request: DrillRequest;
  readonly topology: Topology;
  /** Of every tier, with the ids that their clouds know them by. */
  readonly servers: readonly Instance[];
  /** That run workloads, and the subject's. */
  readonly nodes: readonly Instance[];
  readonly workloads: readonly AddressedWorkload[];
  readonly tier: (name: string) => Tier;
  readonly segment: (name: string) => SegmentPlan;
  /** That have other names. */
  readonly otherTiers: (...names: readonly string[]) => readonly Tier[];
}

export async function findStage(request: DrillRequest): Promise<DrillStage> {
  const { plan, subject } = request;
  const topology = await findTopology(plan);
  const servers = await settleAll(poolsOf(plan).map((pool) => findInstances(plan, pool, pool.servers)));
  const found = await settleAll(plan.segments.map((segment) => findNodes(plan, segment, subject)));
  const nodes = found.flat();
  const workloads = plan.segments.flatMap(({ name: segment, cloud, workloads: placed }) =>
    placed.flatMap(({ spiffeId, node, servicePort, controlPort }) =>
      nodes
        .filter(({ name }) => name === node)
        .map(({ address }) => ({ spiffeId, address, servicePort, controlPort, cloud, segment })),
    ),
  );
  return {
    request,
    topology,
    servers: servers.flat(),
    nodes,
    workloads,
    tier: (wanted) =>
      required(
        topology.tiers.find(({ name }) => name === wanted),
        `there is no tier ${wanted}`,
      ),
    segment: (wanted) =>
      required(
        plan.segments.find(({ name }) => name === wanted),
        `there is no segment ${wanted}`,
      ),
    otherTiers: (...names) => topology.tiers.filter(({ name }) => !names.includes(name)),
  };
}

function findNodes(plan: TrustDomainPlan, segment: SegmentPlan, subject: string): Promise<Instance[]> {
  const { nodes, workloads } = segment;
  const wanted = nodes.filter((name) => name === subject || workloads.some(({ node }) => node === name));
  return findInstances(plan, segment, wanted);
}

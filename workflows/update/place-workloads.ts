// The demonstration workloads' programs on nodes that run. They know their peers: where one comes, goes, or moves to another node, each node is told anew.
import { workflowInfo } from '@temporalio/workflow';
import type { SegmentPlan, TrustDomainPlan } from '../../activities/plan.ts';
import type { Comparison } from '../../activities/update/update.ts';
import { waitForWorkloads } from '../grow-trust-domain.ts';
import { onCloud } from '../lib/calls.ts';
import { whereOf } from '../lib/removals.ts';
import { settleAll } from '../lib/saga.ts';
import { nodeWorkload } from '../roll-out-agents.ts';

/** `start`: what is to run does; `stop`: what is not to run there does not any more. */
export async function placeWorkloads(
  plan: TrustDomainPlan,
  comparison: Comparison,
  what: 'start' | 'stop',
): Promise<void> {
  const { addSegments, removeSegments, changes } = comparison;
  const isTouched =
    addSegments.length + removeSegments.length > 0 ||
    changes.some(({ addNodes, removeNodes, addWorkloads, removeEntries }) =>
      [addNodes, removeNodes, addWorkloads, removeEntries].some(({ length }) => length > 0),
    );
  if (isTouched) await settleAll(plan.segments.map((segment) => placeSegment(plan, segment, comparison, what)));
}

async function placeSegment(
  plan: TrustDomainPlan,
  segment: SegmentPlan,
  { changes }: Comparison,
  what: 'start' | 'stop',
): Promise<void> {
  const { cloud, region, nodeIdentity, workloads } = segment;
  const where = { ...whereOf(plan.spec), region };
  const change = changes.find((one) => one.segment === segment.name);
  const gone = (change?.removeEntries ?? []).map(({ spiffeId }) => spiffeId.slice(spiffeId.lastIndexOf('/') + 1));
  const all = new Set([...workloads.map(({ name }) => name), ...gone]);
  const { placeWorkloads: place, waitForInstance } = onCloud(cloud, 'workloads');
  const nodes = await settleAll(segment.nodes.map((name) => waitForInstance({ ...where, name })));
  await settleAll(
    segment.nodes.map((node) => {
      const own = workloads.filter((workload) => workload.node === node);
      return place({
        ...where,
        cloud,
        role: nodeIdentity,
        node,
        artifact: plan.artifact,
        workloads: own.map((workload) => nodeWorkload(workload, plan.workerId)),
        stop: what === 'start' ? [] : [...all].filter((name) => !own.some((workload) => workload.name === name)),
        id: `${what}-${workflowInfo().runId}`,
      });
    }),
  );
  await waitForWorkloads(plan, segment, nodes);
}

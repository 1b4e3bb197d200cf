// What a trust domain may have been grown into: the specifications of its bootstrap and of every update since. A tear-down is given all of it at once, as what an
// update was to take away, and did not, is not in the claim any more.
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { parseTrustDomainSpec } from '../../activities/spec/check-spec.ts';
import type { SegmentSpec, TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import { workflowId } from '../../workflows/lib/workflow-ids.ts';

type Workflow = Client['workflow'];

/** Of runs of claims and of people alike; a run whose history is gone is passed over, and one whose input was refused made nothing. */
export async function findGrownAs(workflow: Workflow, trustDomain: string): Promise<TrustDomainSpec[]> {
  const grown = workflowId('bootstrapTrustDomain', trustDomain);
  const changed = workflowId('updateTrustDomain', trustDomain);
  const { runId: first, startTime } = await workflow.getHandle(grown).describe();
  const runs = [{ id: grown, runId: first }];
  for await (const { runId, startTime: at } of workflow.list({ query: `WorkflowId = '${changed}'` }))
    if (at >= startTime) runs.push({ id: changed, runId });
  const inputs = await Promise.all(runs.map(({ id, runId }) => inputOf(workflow, id, runId)));
  return inputs.flatMap((input) => {
    const { spec = input } = input as { readonly spec?: unknown };
    try {
      return [parseTrustDomainSpec(spec)];
    } catch {
      return []; // as the workflow found, too
    }
  });
}

async function inputOf(workflow: Workflow, workflowId: string, runId: string): Promise<unknown> {
  const { namespace } = workflow.options;
  const execution = { workflowId, runId };
  const { history } = await workflow.workflowService.getWorkflowExecutionHistory({
    namespace,
    execution,
    maximumPageSize: 1,
  });
  const [payload] = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  return payload === undefined ? {} : defaultPayloadConverter.fromPayload(payload);
}

/** The specification with every segment that any of them has, and as many servers and nodes as any of them has. */
export function unionOf(spec: TrustDomainSpec, others: readonly TrustDomainSpec[]): TrustDomainSpec {
  const segments = new Map<string, SegmentSpec>();
  for (const one of [spec, ...others].flatMap((each) => each.segments)) {
    const known = segments.get(one.name);
    const { servers, nodes } = known ?? one;
    segments.set(one.name, {
      ...(known ?? one),
      servers: Math.max(servers, one.servers),
      nodes: Math.max(nodes, one.nodes),
    });
  }
  const servers = Math.max(...[spec, ...others].map(({ upstream }) => upstream.servers));
  return { ...spec, upstream: { ...spec.upstream, servers }, segments: [...segments.values()] };
}

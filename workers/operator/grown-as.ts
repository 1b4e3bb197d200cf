// What a trust domain may have been grown into: the specifications of its bootstrap and of every update since. A tear-down is given all of it at once, as what an
// update was to take away, and did not, is not in the claim any more.
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { parseTrustDomainSpec } from '../../activities/spec/check-spec.ts';
import type { TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
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

/** The specification with every segment and cluster that any of them has, and as many servers and nodes as any of them has. */
export function unionOf(spec: TrustDomainSpec, others: readonly TrustDomainSpec[]): TrustDomainSpec {
  const all = [spec, ...others];
  const clusters = largest(all.flatMap((each) => each.clusters ?? []));
  // A cluster is cleared by the trust domain's label, whatever it was called: one name for each context.
  const cleared = clusters.filter(({ context }, at) => clusters.findIndex((each) => each.context === context) === at);
  return {
    ...spec,
    upstream: { ...spec.upstream, servers: Math.max(...all.map(({ upstream }) => upstream.servers)) },
    segments: largest(all.flatMap((each) => each.segments)),
    ...(cleared.length === 0 ? {} : { clusters: cleared }),
  };
}

/** One of each name, the first, with as many servers and nodes as any of that name has. */
function largest<T extends { readonly name: string; readonly servers: number; readonly nodes?: number }>(
  parts: readonly T[],
): T[] {
  const byName = new Map<string, T>();
  for (const part of parts) {
    const known = byName.get(part.name) ?? part;
    const nodes = part.nodes === undefined ? {} : { nodes: Math.max(known.nodes ?? 0, part.nodes) };
    byName.set(part.name, { ...known, servers: Math.max(known.servers, part.servers), ...nodes });
  }
  return [...byName.values()];
}

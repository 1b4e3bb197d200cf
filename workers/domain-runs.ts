// The runs of a trust domain in Temporal, as `up` and the operator both ask for them: start one or attach to it, describe it, and what updates have made.
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { specDigest } from '../activities/spec/check-spec.ts';
import type { TrustDomainSpec } from '../activities/spec/trust-domain-spec.ts';
import type { UpdateReport } from '../activities/update/update.ts';
import { spiffeTrustDomain } from '../workflows/lib/search-attributes.ts';
import { workflowId } from '../workflows/lib/workflow-ids.ts';

type Workflow = Client['workflow'];

export interface StartedRun {
  readonly type: string;
  readonly spec: TrustDomainSpec;
  readonly input: unknown;
  /** Beside the digest of the specification. */
  readonly memo?: Readonly<Record<string, unknown>>;
}

/** Attaches to one that runs: somebody else, or who asks before it died, may have started it already. */
export function startRun(workflow: Workflow, { type, spec, input, memo = {} }: StartedRun): Promise<WorkflowHandle> {
  return workflow.start(type, {
    args: [input],
    taskQueue: 'control',
    workflowId: workflowId(type, spec.trustDomain),
    workflowIdConflictPolicy: 'USE_EXISTING',
    typedSearchAttributes: new TypedSearchAttributes([{ key: spiffeTrustDomain, value: spec.trustDomain }]),
    memo: { specDigest: specDigest(spec), ...memo },
  });
}

/** The newest of this id; `undefined` where there is none. */
export async function describeRun(workflow: Workflow, id: string): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await workflow.getHandle(id).describe();
  } catch (cause) {
    if (cause instanceof WorkflowNotFoundError) return undefined;
    throw cause;
  }
}

/** Digest of what the newest update that was no dry run, and completed since then, has made of the trust domain. */
export async function updatedTo(workflow: Workflow, trustDomain: string, since: Date): Promise<string | undefined> {
  const id = workflowId('updateTrustDomain', trustDomain);
  for await (const { runId, closeTime } of completed(workflow, id)) {
    if (closeTime === undefined || closeTime < since) continue;
    const report = (await workflow.getHandle(id, runId).result()) as Partial<UpdateReport>;
    if (report.outcome !== 'dry run') return report.specDigest;
  }
  return undefined;
}

type Ended = Pick<WorkflowExecutionDescription, 'runId' | 'closeTime'>;

/** Newest first. Lists lag behind, so the newest is asked by itself. */
async function* completed(workflow: Workflow, id: string): AsyncGenerator<Ended> {
  const newest = await describeRun(workflow, id);
  if (newest?.status.name === 'COMPLETED') yield newest;
  yield* workflow.list({ query: `WorkflowId = '${id}' AND ExecutionStatus = 'Completed'` });
}

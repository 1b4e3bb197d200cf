// What `up` and `down` ask of Temporal: start the bootstrap or attach to it, look at its progress, verify what stands, tear it down.
import { Client, Connection } from '@temporalio/client';
import type { WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { specDigest } from '../../activities/spec/check-spec.ts';
import type { TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import { workflowId } from '../../workflows/lib/workflow-ids.ts';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { ReadmitReport } from '../../workflows/readmit-agents.ts';
import type { RemovalReport } from '../../workflows/remove-trust-domain.ts';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { describeRun, startRun, updatedTo } from '../domain-runs.ts';
import type { Temporal } from './temporal.ts';

export interface Runs {
  /** `started`, `attached` to one that runs, or `standing` when an earlier one completed. */
  bootstrap(
    spec: TrustDomainSpec,
  ): Promise<{ readonly state: 'started' | 'attached' | 'standing'; readonly handle: WorkflowHandle }>;
  /** Agents that were away until their SVIDs had expired may attest again; returns which. */
  readmit(spec: TrustDomainSpec): Promise<readonly string[]>;
  verify(spec: TrustDomainSpec): Promise<WorkflowHandle>;
  /** Cancels a bootstrap that runs, and waits until it has undone what it began. */
  cancelBootstrap(trustDomain: string): Promise<void>;
  /** Attaches to one that runs already. */
  tearDown(spec: TrustDomainSpec): Promise<RemovalReport>;
  /** One that a `down` which was stopped has begun; `undefined` when none runs. */
  runningTearDown(trustDomain: string): Promise<WorkflowHandle | undefined>;
}

export function bootstrapId(trustDomain: string): string {
  return workflowId('bootstrapTrustDomain', trustDomain);
}

export async function openRuns({
  connection: options,
  namespace,
}: Pick<Temporal, 'connection' | 'namespace'>): Promise<Runs> {
  const connection = await Connection.connect(options);
  const { workflow } = new Client({ connection, namespace });

  const describe = (id: string): Promise<WorkflowExecutionDescription | undefined> => describeRun(workflow, id);

  /** A tear-down that completed after the bootstrap did has taken it away. */
  async function stands(trustDomain: string, bootstrap: WorkflowExecutionDescription): Promise<boolean> {
    const tearDown = await describe(workflowId('tearDownTrustDomain', trustDomain));
    return (
      tearDown?.closeTime === undefined || bootstrap.closeTime === undefined || tearDown.closeTime < bootstrap.closeTime
    );
  }

  return {
    async bootstrap(spec) {
      const id = bootstrapId(spec.trustDomain);
      const existing = await describe(id);
      const status = existing?.status.name;
      if (
        existing !== undefined &&
        (status === 'RUNNING' || (status === 'COMPLETED' && (await stands(spec.trustDomain, existing))))
      ) {
        const { closeTime } = existing;
        const changed = closeTime === undefined ? undefined : await updatedTo(workflow, spec.trustDomain, closeTime);
        refuseOtherSpec(spec, existing, changed);
        return { state: status === 'RUNNING' ? 'attached' : 'standing', handle: workflow.getHandle(id) };
      }
      return {
        state: 'started',
        handle: await startRun(workflow, { type: 'bootstrapTrustDomain', spec, input: spec }),
      };
    },
    async readmit(spec) {
      const handle = await startRun(workflow, { type: 'readmitAgents', spec, input: spec });
      return ((await handle.result()) as ReadmitReport).readmitted;
    },
    verify: (spec) => startRun(workflow, { type: 'verifyTrustDomain', spec, input: { spec } }),
    async cancelBootstrap(trustDomain) {
      const existing = await describe(bootstrapId(trustDomain));
      if (existing?.status.name !== 'RUNNING') return;
      const handle = workflow.getHandle(bootstrapId(trustDomain));
      await handle.cancel();
      await handle.result().catch(() => undefined); // it ends as cancelled; what it could not undo, the tear-down removes
    },
    async tearDown(spec) {
      const handle = await startRun(workflow, { type: 'tearDownTrustDomain', spec, input: spec });
      return (await handle.result()) as RemovalReport;
    },
    async runningTearDown(trustDomain) {
      const id = workflowId('tearDownTrustDomain', trustDomain);
      return (await describe(id))?.status.name === 'RUNNING' ? workflow.getHandle(id) : undefined;
    },
  };
}

function refuseOtherSpec(
  spec: TrustDomainSpec,
  { memo, workflowId: id }: WorkflowExecutionDescription,
  updatedTo: string | undefined,
): void {
  const digest = updatedTo ?? memo?.['specDigest'];
  if (digest === undefined || digest === specDigest(spec)) return; // one started by hand has no memo
  throw new Error(
    `workflow ${id} grew the trust domain from another specification: put that one back, change the trust domain with updateTrustDomain, or run 'npm run down' with the other one first`,
  );
}

export interface Followed {
  readonly report: TrustDomainReport;
}

/** Waits for a run's end, showing its progress; throws what it failed with. */
export async function follow(
  handle: WorkflowHandle,
  show: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<TrustDomainReport> {
  const result = handle.result() as Promise<TrustDomainReport>;
  let over = false as boolean;
  const settled = result.then(
    () => undefined,
    () => undefined,
  );
  void settled.then(() => (over = true));
  const stopped = rejectedBy(signal);
  while (!over) {
    signal.throwIfAborted();
    const progress = await Promise.race([handle.query<Progress>('progress').catch(() => undefined), stopped, settled]);
    if (progress !== undefined) show(progress);
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 400)), stopped, settled]);
  }
  const last = await handle.query<Progress>('progress').catch(() => undefined);
  if (last !== undefined) show(last);
  return result;
}

/** The act goes on in Temporal when the signal comes; whoever waited for it does not. */
export function unlessStopped<T>(act: Promise<T>, signal: AbortSignal): Promise<T> {
  return Promise.race([act, rejectedBy(signal)]);
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
  stopped.catch(() => undefined); // raced by the caller; nobody listens once the act is over
  return stopped;
}

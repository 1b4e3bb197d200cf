// What Temporal knows of a claim's trust domain, and the three workflows that a claim starts. Which claim a run was started for stands in its memo.
import { WorkflowFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import type { RemovalReport } from '../../workflows/remove-trust-domain.ts';
import type { Progress } from '../../workflows/lib/progress.ts';
import { workflowId } from '../../workflows/lib/workflow-ids.ts';
import { describeRun, startRun, updatedTo } from '../domain-runs.ts';
import { findGrownAs, unionOf } from './grown-as.ts';

export type RunType = 'bootstrapTrustDomain' | 'updateTrustDomain' | 'tearDownTrustDomain';

export interface Run {
  readonly workflowId: string;
  readonly runId: string;
  readonly state: 'running' | 'completed' | 'failed';
  readonly startedAt: number;
  readonly closedAt: number | undefined;
  /** What was in its memo; a run that a person started has none of it. */
  readonly claimUid: string | undefined;
  readonly claimGeneration: number | undefined;
  readonly specDigest: string | undefined;
  /** Of one that failed. */
  readonly failure: { readonly type: string; readonly message: string } | undefined;
  /** Of one that runs. */
  readonly progress: Progress | undefined;
  /** Of one that completed: an UpdateReport, a RemovalReport or what the bootstrap returns. */
  readonly report: unknown;
}

export interface DomainRuns {
  readonly bootstrap: Run | undefined;
  readonly update: Run | undefined;
  readonly tearDown: Run | undefined;
  /** Digest of the specification that it was last made into, where that is known. */
  readonly standsAs: string | undefined;
}

export interface ClaimedBy {
  readonly uid: string;
  readonly name: string;
  readonly generation: number;
}

export interface Runs {
  /** Throws where Temporal cannot be asked. */
  look(trustDomain: string): Promise<DomainRuns>;
  bootstrap(spec: TrustDomainSpec, by: ClaimedBy): Promise<void>;
  update(spec: TrustDomainSpec, by: ClaimedBy): Promise<void>;
  tearDown(spec: TrustDomainSpec, by: ClaimedBy): Promise<void>;
  /** Asks a bootstrap that runs to undo what it began. */
  cancelBootstrap(trustDomain: string): Promise<void>;
  /** Asks an update that runs to undo what it added, as far as it has taken nothing away. */
  abortUpdate(trustDomain: string): Promise<void>;
}

const queryTimeoutMs = 3_000;
/** Of everything that is asked in one go: what says nothing holds nobody up. */
const askMs = 15_000;

export function createRuns(client: Pick<Client, 'workflow' | 'withDeadline'>): Runs {
  const { workflow } = client;
  const soon = <T>(ask: () => Promise<T>): Promise<T> => client.withDeadline(Date.now() + askMs, ask);

  async function find(type: RunType, trustDomain: string): Promise<Run | undefined> {
    const id = workflowId(type, trustDomain);
    const described = await describeRun(workflow, id);
    if (described === undefined) return undefined;
    const { status, startTime, closeTime, memo = {}, runId: found } = described;
    const isRunning = status.name === 'RUNNING';
    const isCompleted = status.name === 'COMPLETED';
    const run = workflow.getHandle(id, found);
    return {
      workflowId: id,
      runId: found,
      state: isRunning ? 'running' : isCompleted ? 'completed' : 'failed',
      startedAt: startTime.getTime(),
      closedAt: closeTime?.getTime(),
      claimUid: textIn(memo, 'claimUid'),
      claimGeneration: typeof memo['claimGeneration'] === 'number' ? memo['claimGeneration'] : undefined,
      specDigest: textIn(memo, 'specDigest'),
      failure: isRunning || isCompleted ? undefined : await failureOf(run.result(), status.name),
      progress: isRunning ? await within(run.query<Progress>('progress')) : undefined,
      report: isCompleted ? await run.result() : undefined,
    };
  }

  async function start(type: RunType, spec: TrustDomainSpec, by: ClaimedBy, input: unknown): Promise<void> {
    const memo = { claimUid: by.uid, claim: by.name, claimGeneration: by.generation };
    await startRun(workflow, { type, spec, input, memo });
  }

  async function look(trustDomain: string): Promise<DomainRuns> {
    const [bootstrap, update, tearDown] = await Promise.all([
      find('bootstrapTrustDomain', trustDomain),
      find('updateTrustDomain', trustDomain),
      find('tearDownTrustDomain', trustDomain),
    ]);
    const grownAt = bootstrap?.state === 'completed' ? bootstrap.closedAt : undefined;
    const standsAs =
      grownAt === undefined
        ? undefined
        : ((await updatedTo(workflow, trustDomain, new Date(grownAt))) ?? bootstrap?.specDigest);
    return { bootstrap, update, tearDown, standsAs };
  }

  return {
    look: (trustDomain) => soon(() => look(trustDomain)),
    bootstrap: (spec, by) => soon(() => start('bootstrapTrustDomain', spec, by, spec)),
    update: (spec, by) => {
      const input = { spec, requester: `claim ${by.name}`, reason: `generation ${by.generation} of the claim` };
      return soon(() => start('updateTrustDomain', spec, by, input));
    },
    tearDown: (spec, by) =>
      soon(async () => {
        const whole = unionOf(spec, await findGrownAs(workflow, spec.trustDomain));
        await start('tearDownTrustDomain', spec, by, whole);
      }),
    cancelBootstrap: (trustDomain) =>
      soon(async () => {
        await workflow.getHandle(workflowId('bootstrapTrustDomain', trustDomain)).cancel();
      }),
    abortUpdate: (trustDomain) =>
      soon(() => workflow.getHandle(workflowId('trustChange', trustDomain)).signal('abort', 'the claim is deleted')),
  };
}

export function leftBy(run: Run): RemovalReport['left'] {
  return (run.report as Partial<RemovalReport> | undefined)?.left ?? [];
}

function textIn(memo: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = memo[key];
  return typeof value === 'string' ? value : undefined;
}

async function failureOf(result: Promise<unknown>, status: string): Promise<Run['failure']> {
  try {
    await result;
  } catch (cause) {
    if (!(cause instanceof WorkflowFailedError)) throw cause;
    let root: Error = cause;
    while (root.cause instanceof Error) root = root.cause;
    return { type: root instanceof ApplicationFailure ? (root.type ?? 'Error') : status, message: root.message };
  }
  return undefined;
}

/** Nobody may be there to answer; then there is no news. */
async function within(query: Promise<Progress>): Promise<Progress | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), queryTimeoutMs);
  });
  return Promise.race([query.catch(() => undefined), late]).finally(() => clearTimeout(timer));
}

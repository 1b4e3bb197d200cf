// `up`, what `npm start` runs: everything on this machine, then the bootstrap of the trust domain that `trust-domain.yaml` describes, then the
// proof. Stays up until it is told to stop, which stops processes and never cancels a workflow; started again it goes on where it was.
import type { WorkflowHandle } from '@temporalio/client';
import type { TrustDomainSpec } from '../activities/spec/trust-domain-spec.ts';
import type { Output } from './up/progress-view.ts';
import { createProgressView } from './up/progress-view.ts';
import type { LabIsolation } from './up/isolation.ts';
import { loadSpec } from './up/load-spec.ts';
import { takeLock } from './up/lock.ts';
import { openStateDirectory } from './up/state-directory.ts';
import { describeReport, findMachineRuns, writeSummary } from './up/summary.ts';
import { bootstrapId, follow, openRuns, unlessStopped } from './up/workflows.ts';
import type { Runs } from './up/workflows.ts';
import { inWorld } from './up/world.ts';
import type { World } from './up/world.ts';

export interface UpOptions {
  readonly root: string;
  readonly stateDirectory: string;
  readonly specFile: string;
  /** Ends after the validation. */
  readonly once: boolean;
  readonly isolation?: LabIsolation | undefined;
  readonly output: Output;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
}

export async function up({
  root,
  stateDirectory,
  specFile,
  once,
  isolation,
  output,
  signal,
}: UpOptions): Promise<void> {
  const say = (line: string): void => void output.write(`${line}\n`);
  const spec = loadSpec(specFile);
  const state = openStateDirectory(stateDirectory);
  const release = takeLock(state);
  try {
    await inWorld({ root, state, spec, isolation, say }, async (world) => {
      signal.throwIfAborted();
      // Never closed: a call that is being tried again would throw where nobody catches it. The process ends without asking it.
      const runs = await openRuns(world.temporal);
      const tearDown = await runs.runningTearDown(spec.trustDomain);
      if (tearDown !== undefined) {
        say(`${tearDown.workflowId} is still running; the bootstrap begins when it has ended`);
        await unlessStopped(tearDown.result(), signal);
      }
      const { state: found, handle } = await runs.bootstrap(spec);
      const workflowId = bootstrapId(spec.trustDomain);
      say(found === 'standing' ? `${workflowId} completed before; verifying what stands` : `${workflowId} ${found}`);
      const followed = found === 'standing' ? await verifyAgain(runs, spec, say, signal) : handle;
      const view = createProgressView(output, Date.now);
      const report = await follow(followed, (progress) => view.show(progress), signal);
      writeSummary(state.path('summary.json'), {
        report,
        workflowId,
        temporal: world.temporal,
        runs: await findMachineRuns(world.lab),
      });
      say(`\n${describeReport(report, world.temporal, workflowId)}`);
      if (!once) await stayUp(world, say, signal);
    });
  } finally {
    release();
  }
}

/** What stands may have been away for longer than its SVIDs live. */
async function verifyAgain(
  runs: Runs,
  spec: TrustDomainSpec,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<WorkflowHandle> {
  const readmitted = await unlessStopped(runs.readmit(spec), signal);
  for (const agentId of readmitted) say(`agent ${agentId} had expired and may attest again`);
  return runs.verify(spec);
}

/** Until it is told to stop, or until a process that nobody starts again has ended. */
async function stayUp(world: World, say: (line: string) => void, signal: AbortSignal): Promise<void> {
  say('Up. Ctrl-C stops the processes; the trust domain is kept for the next start.');
  await new Promise<void>((resolve, reject) => {
    const timer = setInterval(() => {
      const [ended] = world.ended();
      if (ended !== undefined) settle(() => reject(new Error(ended)));
    }, 1000);
    const settle = (done: () => void): void => {
      clearInterval(timer);
      done();
    };
    signal.addEventListener('abort', () => settle(resolve), { once: true });
    if (signal.aborted) settle(resolve);
  });
}

// A worker of the `control` queue with the real activities of a rotation, in a process of its own. At the boundary that it is told it dies, fails once, or
// waits until its runner has done something. Its runner is its parent: without it, it ends too.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createWorkerSource } from '../../../activities/control/worker-source.ts';
import { failure } from '../../../activities/failures.ts';
import type { TrustActivities } from '../../../activities/trust/rotation.ts';
import { createTrustActivities } from '../../../activities/trust/trust-activities.ts';
import { keepAlive } from '../../../workers/keep-alive.ts';
import { ensureWorkflowBundle } from '../../../workers/pack/workflow-bundle.ts';
import type { Boundary, Moment } from './rotation-cases.ts';

export interface WorkerOrder {
  readonly boundary: Boundary;
  readonly moment: Moment;
  readonly act: 'die' | 'fail' | 'tell';
}

/** From the runner; `go on` answers `reached`. */
export type ToWorker = WorkerOrder | 'go on';
export type FromWorker = 'ready' | 'armed' | 'reached';

const [address = '', workloadSocket = '', reportDirectory = ''] = process.argv.slice(2);
let order: WorkerOrder | undefined;

const say = (what: FromWorker): void => void process.send?.(what);
process.on('message', (told: ToWorker) => {
  if (told === 'go on') return;
  order = told;
  say('armed');
});
process.once('disconnect', () => process.exit(0));

/** The first to come to the boundary is disturbed; what runs beside it is not. */
async function come(boundary: string, moment: Moment): Promise<void> {
  if (order?.boundary !== boundary || order.moment !== moment) return;
  const { act } = order;
  order = undefined;
  if (act === 'die') process.kill(process.pid, 'SIGKILL');
  say('reached');
  if (act === 'fail') throw failure('Unavailable', `made to fail ${moment} ${boundary}`);
  await once(process, 'message');
}

const real = createTrustActivities({
  source: createWorkerSource(workloadSocket),
  planOf: () => Promise.reject(failure('InvalidRequest', 'there is no plan here')),
  reportDirectory,
  clock: Date.now,
});

function disturbed<Input, Output>(name: string, act: (input: Input) => Promise<Output>) {
  return async (input: Input): Promise<Output> => {
    await come(name, 'before');
    const output = await act(input);
    await come(name, 'after');
    return output;
  };
}

const activities: TrustActivities = {
  ...real,
  surveyTrust: disturbed('surveyTrust', real.surveyTrust),
  ensurePrepared: disturbed('ensurePrepared', real.ensurePrepared),
  digestPlan: disturbed('digestPlan', real.digestPlan),
  ensureActivated: disturbed('ensureActivated', real.ensureActivated),
  ensureReissued: disturbed('ensureReissued', real.ensureReissued),
  ensureTainted: disturbed('ensureTainted', real.ensureTainted),
  ensureRevoked: disturbed('ensureRevoked', real.ensureRevoked),
  writeReport: disturbed('writeReport', real.writeReport),
  async waitForProof(input) {
    // Without patience it is a look, which proves nothing.
    const name = input.patienceMs === 0 ? 'look' : `waitForProof ${input.claim}`;
    await come(name, 'before');
    const outcome = await real.waitForProof(input);
    if (outcome.proven) await come(name, 'after');
    return outcome;
  },
};

Runtime.install({ logger: new DefaultLogger('ERROR') });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue: 'control',
  workflowBundle: await ensureWorkflowBundle(fileURLToPath(new URL('../../..', import.meta.url))),
  activities,
  interceptors: { activity: [keepAlive] },
});
say('ready');
await worker.run();

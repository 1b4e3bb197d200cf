// Workers in a process of their own on a world that stays here, killed with SIGKILL at one boundary: before an activity does anything, or when it has done
// all but say so. Another process goes on, which knows what the Temporal server knows.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ApplicationFailure } from '@temporalio/common';
import type { FailureType } from '../../../activities/failures.ts';
import { createFakeWorld } from '../../fakes/fake-world.ts';
import type { FakeWorld } from '../../fakes/fake-world.ts';
import type { Answered, Asked, FromSagaWorker, Queues, ToSagaWorker } from './saga-worker-process.ts';

export type Boundary = NonNullable<FakeWorld['stumbling']>;
type Act = (input: unknown) => Promise<unknown>;

export interface MortalWorkers {
  /** Runs workers while `act` runs; returns whether they came to the boundary and died there. */
  run<T>(world: FakeWorld, boundary: Boundary, act: () => Promise<T>): Promise<{ ended: T; died: boolean }>;
  close(): Promise<void>;
}

const startPatienceMs = 60_000;

export function createMortalWorkers(address: string, codePath: string): MortalWorkers {
  const { control, gcp, aws } = queuesOf(createFakeWorld());
  const names: Queues = { control: Object.keys(control), gcp: Object.keys(gcp), aws: Object.keys(aws) };
  const prepare = async (): Promise<ChildProcess> => {
    const args = [address, codePath, JSON.stringify(names)];
    const child = fork(new URL('./saga-worker-process.ts', import.meta.url), args);
    const [said] = (await once(child, 'message', { signal: AbortSignal.timeout(startPatienceMs) })) as [FromSagaWorker];
    if (said !== 'prepared') throw new Error(`a worker began with ${JSON.stringify(said)}`);
    return child;
  };
  // One is always ready to take over: how long Node needs to start is no part of any story.
  let spare: Promise<ChildProcess> | undefined;
  const take = async (): Promise<ChildProcess> => {
    const child = await (spare ?? prepare());
    spare = prepare();
    spare.catch(() => undefined); // whoever takes it is told
    return child;
  };

  return {
    async run(world, { call, moment }, act) {
      const queues = queuesOf(world);
      let [died, over] = [false, false];
      let child = await take();
      const begin = (): void => {
        const own = child;
        tell(own, 'begin');
        own.on('message', (asked: Asked) => void answer(own, asked));
      };
      const dies = async (own: ChildProcess, asked: Asked, at: Boundary['moment']): Promise<boolean> => {
        if (died || over || at !== moment || `${asked.queue} ${asked.name}` !== call) return false;
        died = true;
        await kill(own);
        child = await take();
        begin();
        return true;
      };
      const answer = async (own: ChildProcess, asked: Asked): Promise<void> => {
        if (await dies(own, asked, 'before')) return;
        const activities = queues[asked.queue as keyof typeof queues] as unknown as Readonly<Record<string, Act>>;
        const result = await perform(activities[asked.name], asked);
        if (await dies(own, asked, 'after')) return;
        if (own.connected) tell(own, result);
      };
      begin();
      try {
        return { ended: await act(), died };
      } finally {
        over = true;
        await kill(child);
      }
    },
    async close() {
      const child = await spare;
      if (child !== undefined) await kill(child);
    },
  };
}

function queuesOf(world: FakeWorld) {
  return { control: world.control(), gcp: world.cloud('gcp'), aws: world.cloud('aws') };
}

/** As an activity of the workflow that asks. */
async function perform(act: Act | undefined, { id, input, name, workflowId, attempt }: Asked): Promise<Answered> {
  if (act === undefined) throw new Error(`no activity has the name ${name}`);
  const context = new MockActivityEnvironment({ workflowExecution: { workflowId, runId: '' }, attempt });
  try {
    return { id, result: await context.run(act, input) };
  } catch (cause) {
    if (!(cause instanceof ApplicationFailure)) throw cause;
    return { id, failed: { type: cause.type as FailureType, message: cause.message } };
  }
}

function tell(child: ChildProcess, what: ToSagaWorker): void {
  child.send(what, () => undefined); // one that is dead hears nothing
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

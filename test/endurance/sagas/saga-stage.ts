// What sagas are disturbed on: a Temporal server, and for each run a trust domain and a fake world of its own. Workers are here, or in a process that dies.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WorkflowFailedError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';
import { bundleWorkflowCode } from '@temporalio/worker';
import { startTestTemporal } from '../../support/temporal.ts';
import { createFakeWorld } from '../../fakes/fake-world.ts';
import type { FakeWorld } from '../../fakes/fake-world.ts';
import { runbookStories } from '../../support/runbook-stories.ts';
import { domainStories } from './domain-stories.ts';
import { createMortalWorkers } from './mortal-workers.ts';
import type { Boundary } from './mortal-workers.ts';
import { otherStories } from './other-stories.ts';
import { stateOf } from './saga-state.ts';
import type { SagaState } from './saga-state.ts';

/** What happens to a run, if anything. */
export type Disturbance =
  | { readonly stumbles: Boundary }
  | { readonly dies: Boundary }
  | { readonly forgets: true }
  | { readonly isAskedTwice: true };

export interface Played extends SagaState {
  /** Activities by name, each once, in the order in which they were called first. */
  readonly calls: readonly string[];
  /** Whether the disturbance came. */
  readonly disturbed: boolean;
}

export type SagaStage = Awaited<ReturnType<typeof openSagaStage>>;

export async function openSagaStage() {
  const kept = fileURLToPath(new URL('../../../.espalier/sagas', import.meta.url));
  mkdirSync(kept, { recursive: true });
  const directory = mkdtempSync(`${kept}/`);
  const codePath = await bundleHurried(join(directory, 'workflows.js'));
  const temporal = await startTestTemporal({ codePath });
  const mortal = createMortalWorkers(temporal.environment.address, codePath);
  const { workflow } = temporal.environment.client;
  const undisturbed = new Map<string, Played>();
  let runs = 0;
  /** Of the run that is under way, where workers stay from one run to the next. */
  let shared: { world: FakeWorld } | undefined;

  const withWorkers = <T>(world: FakeWorld, act: () => Promise<T>): Promise<T> => {
    if (shared === undefined) return temporal.withWorkers(world, act);
    shared.world = world;
    return act();
  };

  const begin = async (story: string) => {
    runs += 1;
    // As long for each run: it is part of what is compared.
    const trustDomain = `saga-${String(runs).padStart(5, '0')}.example.org`;
    const domainStory = domainStories.find(({ name }) => name === story);
    const world = await (domainStory?.world?.(trustDomain) ?? createFakeWorld(trustDomain));
    const start = (type: string, request: object = {}, ...subject: string[]) =>
      workflow.start(type, {
        args: [{ topology: world.fleet.topology, ...request }],
        taskQueue: 'control',
        workflowId: [type, trustDomain, ...subject].join('/'),
      });
    const change = workflow.getHandle(`trustChange/${trustDomain}`);
    return { trustDomain, world, start, change, domainStory };
  };
  type Begun = Awaited<ReturnType<typeof begin>>;

  const play = async (stage: Begun, story: string): Promise<WorkflowHandle> => {
    const { trustDomain, start, domainStory } = stage;
    const other = otherStories.find(({ name }) => name === story);
    const runbook = runbookStories.find((one) => one.runbook === story);
    if (domainStory !== undefined) {
      const handle = await start(domainStory.type, domainStory.request(trustDomain));
      await domainStory.during?.(stage, handle);
      return handle;
    }
    if (other !== undefined) return other.play(stage, trustDomain);
    if (runbook === undefined) throw new Error(`there is no story ${JSON.stringify(story)}`);
    const subject = runbook.subject(stage);
    return runbook.well?.(stage, subject) ?? stage.start(story, { subject });
  };

  /** While the first one holds the lock, a second one asks for the same, and is told. */
  const playTwice = async (stage: Begun, story: string): Promise<WorkflowHandle> => {
    const { trustDomain, world, start, domainStory } = stage;
    const { type = '', request = () => ({}), lockedAt = '' } = domainStory ?? {};
    let letGo = (): void => undefined;
    const until = new Promise<void>((resolve) => (letGo = resolve));
    world.blocked = { call: lockedAt, until };
    const handle = await play(stage, story);
    while (!world.calls.includes(lockedAt)) await new Promise((resolve) => setTimeout(resolve, 20));
    const second = await endOf(await start(type, request(trustDomain), 'second'));
    letGo();
    if (failureIn(second) !== 'Conflict') throw new Error(`the second one ended with ${JSON.stringify(second)}`);
    return handle;
  };

  const stage = {
    /** Played once, and known from then on. */
    async undisturbed(story: string): Promise<Played> {
      const played = undisturbed.get(story) ?? (await stage.play(story));
      undisturbed.set(story, played);
      return played;
    },
    /** Plays stories, one after the other, on the same workers. */
    async together(act: () => Promise<void>): Promise<void> {
      const following = (shared = { world: createFakeWorld() });
      const queue = (of: (world: FakeWorld) => object) => follow(of, following);
      try {
        const control = queue((world) => world.control());
        await temporal.withWorkers({ control: () => control, cloud: (cloud) => queue((of) => of.cloud(cloud)) }, act);
      } finally {
        shared = undefined;
      }
    },
    /** Plays a story once. */
    async play(story: string, disturbance?: Disturbance): Promise<Played> {
      const begun = await begin(story);
      const { trustDomain, world } = begun;
      const state = () => stateOf(world, trustDomain);
      const [before, earlier] = [state().things, world.calls.length];
      const act = async (): Promise<unknown> => endOf(await play(begun, story));
      const run = async (): Promise<{ ended: unknown; disturbed: boolean }> => {
        if (disturbance === undefined) return { ended: await withWorkers(world, act), disturbed: false };
        if ('dies' in disturbance) {
          const { ended, died } = await mortal.run(world, disturbance.dies, act);
          return { ended, disturbed: died };
        }
        if ('isAskedTwice' in disturbance) {
          const twice = async () => endOf(await playTwice(begun, story));
          return { ended: await temporal.withWorkers(world, twice), disturbed: true };
        }
        if ('forgets' in disturbance)
          return { ended: await temporal.withWorkers(world, act, { replayAlways: true }), disturbed: true };
        world.stumbling = disturbance.stumbles;
        const ended = await withWorkers(world, act);
        return { ended, disturbed: !willStumble(world) };
      };
      const { ended, disturbed } = await run();
      const calls = [...new Set(world.calls.slice(earlier))];
      return { ...state().ending(ended), before, calls, disturbed };
    },
    async close() {
      await mortal.close();
      await temporal.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return stage;
}

/** The activities of whichever world it is at the moment. */
function follow(of: (world: FakeWorld) => object, following: { readonly world: FakeWorld }): object {
  type Activities = Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
  const names = Object.keys(of(following.world));
  return Object.fromEntries(
    names.map((name) => [name, (input: unknown) => (of(following.world) as Activities)[name]?.(input)]),
  );
}

function willStumble({ stumbling }: FakeWorld): boolean {
  return stumbling !== undefined;
}

/** A report, or how it failed. */
async function endOf(handle: WorkflowHandle): Promise<unknown> {
  try {
    return await handle.result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    let current = error.cause;
    while (current instanceof ChildWorkflowFailure || current instanceof ActivityFailure) current = current.cause;
    const type = current instanceof ApplicationFailure ? current.type : current?.name;
    return { failed: type, message: current?.message };
  }
}

function failureIn(ended: unknown): unknown {
  return typeof ended === 'object' && ended !== null && 'failed' in ended ? ended.failed : undefined;
}

/** The workflows as they ship, with what keeps a matrix from waiting a minute for each of its cases. */
async function bundleHurried(file: string): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../../workflows/index.ts', import.meta.url)),
    workflowInterceptorModules: [fileURLToPath(new URL('./hurried.ts', import.meta.url))],
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error },
  });
  writeFileSync(file, code);
  return file;
}

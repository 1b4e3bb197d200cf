// Runs one case on a real Temporal server and keeps the histories that it names. Histories are append-only: a file that is there is never
// written again, because it stands for runs that are under way somewhere.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { it } from 'vitest';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { spec } from '../support/specs.ts';
import type { TestTemporal } from '../support/temporal.ts';
import type { History } from '../replay/history-json.ts';
import { fetchHistoryTree } from '../replay/history-tree.ts';
import type { FetchedHistory } from '../replay/history-tree.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

export interface Stage {
  readonly world: FakeWorld;
  /** Starts a workflow on the case's own trust domain: with its specification, or with what a rotation is asked of the fake fleet. */
  readonly start: (workflow: string, request?: object) => Promise<WorkflowHandle>;
  /** The workflow that holds the case's lock. */
  readonly change: WorkflowHandle;
  /** Ends when the change that holds the lock waits for this. */
  readonly waitingFor: (what: string) => Promise<Progress>;
  /** Ends when a call has been made, as often as said. */
  readonly called: (call: string, times?: number) => Promise<void>;
  /** Holds a call until it is let go. */
  readonly hold: (call: string) => { readonly letGo: () => void };
  /** Holds a call, cancels the workflow, and lets the held activity learn of it as a live one does: by its heartbeat. */
  readonly cancelDuring: (handle: WorkflowHandle, call: string) => Promise<void>;
}

interface Case {
  readonly name: string;
  /** `workflow` or `workflow/subject`: which of the histories become files. */
  readonly keep: readonly string[];
  /** Over and above the repository's own specification. */
  readonly spec?: object;
}

/** `act` returns the handle at the top of what is kept; it need not wait for its end. */
export function record(
  temporal: () => TestTemporal,
  wanted: Case,
  act: (stage: Stage) => Promise<WorkflowHandle>,
): void {
  const files = new Map(wanted.keep.map((kept) => [kept, fileOf(kept, wanted.name)]));
  it.skipIf([...files.values()].every(existsSync))(`${wanted.name}: ${wanted.keep.join(', ')}`, async () => {
    const server = temporal();
    const input = { ...spec, trustDomain: `${wanted.name.toLowerCase()}.example.org`, ...wanted.spec };
    const world = createFakeWorld(input.trustDomain);
    const tree = await server.withWorkers(world, async () => {
      const handle = await act(stage(server, world, input));
      await handle.result().catch(() => undefined); // cases that fail are what we are here for
      return fetchHistoryTree(server.environment.client.workflow, handle);
    });
    for (const [kept, file] of files) saveHistory(file, findKept(tree, kept));
  });
}

function stage({ environment }: TestTemporal, world: FakeWorld, input: { trustDomain: string }): Stage {
  const { workflow } = environment.client;
  const change = workflow.getHandle(`trustChange/${input.trustDomain}`);
  const called = async (call: string, times = 1): Promise<void> => {
    while (world.calls.filter((made) => made === call).length < times) await sleep(20);
  };
  return {
    world,
    called,
    change,
    async waitingFor(what) {
      for (;;) {
        const progress = await change.query<Progress>('progress').catch(() => undefined); // it may not have begun
        if (progress?.change?.waitingFor?.includes(what) === true) return progress;
        await sleep(20);
      }
    },
    start: (type, request) =>
      workflow.start(type, {
        args: [request === undefined ? input : { topology: world.fleet.topology, ...request }],
        taskQueue: 'control',
        workflowId: `${type}/${input.trustDomain}`,
        memo: { specDigest: '00' },
      }),
    hold(call) {
      const gate = createGate();
      world.blocked = { call, until: gate.opened };
      return { letGo: gate.open };
    },
    async cancelDuring(handle, call) {
      const gate = createGate();
      const before = world.calls.filter((made) => made === call).length;
      world.blocked = {
        call,
        get until() {
          return beCancelled(gate.opened);
        },
      };
      await called(call, before + 1);
      await handle.cancel();
      while (!(await fetchHistoryTree(workflow, handle)).some(({ history }) => asksToCancel(history))) await sleep(50);
      gate.open();
    },
  };
}

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** Runs in the activity: its next heartbeat is answered with the cancellation. */
async function beCancelled(asked: Promise<void>): Promise<void> {
  const context = Context.current();
  await asked;
  context.heartbeat('waiting for what was held');
  await context.cancelled;
}

function asksToCancel({ events }: History): boolean {
  return events.some(({ eventType }) => eventType === 'EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED');
}

function fileOf(kept: string, name: string): string {
  const [workflow = '', subject] = kept.split('/');
  const file = subject === undefined || name.endsWith(`-${subject}`) ? name : `${name}-${subject}`;
  return `${root}/test/histories/${workflow}/${file}.json`;
}

function findKept(tree: readonly FetchedHistory[], kept: string): History {
  const [workflow, subject] = kept.split('/');
  // The one at the top needs no subject to be told from others.
  const isMeant = (workflowId: string, index: number): boolean =>
    workflowId.split('/')[2] === subject || (index === 0 && subject === undefined);
  const found = tree.find(
    ({ workflowType, workflowId }, index) => workflowType === workflow && isMeant(workflowId, index),
  );
  if (found === undefined) throw new Error(`no ${kept} among ${tree.map(({ workflowId }) => workflowId).join(', ')}`);
  return found.history;
}

/** Where it was recorded says nothing: the machine's name and the checkout's path stay here. */
function saveHistory(file: string, history: History): void {
  if (existsSync(file)) return;
  const text = JSON.stringify(history, undefined, 1).replaceAll(root, '/espalier').replaceAll(hostname(), 'recorder');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${text}\n`);
}

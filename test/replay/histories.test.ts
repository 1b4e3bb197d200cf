// Today's workflows on yesterday's histories: code that would decide otherwise than it did fails here, before it meets a run that is under way.
// A red replay is answered by `patched` or a workflow of another name, never by recording anew.
import { DeterminismViolationError } from '@temporalio/workflow';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleWorkflows } from '../support/temporal.ts';
import * as workflows from '../../workflows/index.ts';
import { decodeHistory, workflowTypeOf } from './history-json.ts';
import type { History, HistoryEvent } from './history-json.ts';
import { recordedHistories, recordedWorkflows } from './recorded.ts';

const recorded = recordedHistories();
/** All of them take a minute and a half. */
const everyPlace = process.env['REPLAY_PREFIXES'] === 'all';
const oneIn = 8;
let workflowBundle: Awaited<ReturnType<typeof bundleWorkflows>>;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  workflowBundle = await bundleWorkflows();
});

/** The names of those that today's code does not repeat, with why. */
async function replay(histories: readonly { name: string; history: History }[]): Promise<[string, unknown][]> {
  const wire = histories.map(({ name, history }) => ({ workflowId: name, history: decodeHistory(history) }));
  const failed: [string, unknown][] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, wire)) {
    if (error !== undefined) failed.push([workflowId, error]);
  }
  return failed;
}

/** The first event that has these attributes, changed. */
function altered(history: History, attributes: string, change: object): History {
  const index = history.events.findIndex((event) => attributes in event);
  expect(index).toBeGreaterThan(-1);
  const event = history.events[index]!;
  const changed: HistoryEvent = { ...event, [attributes]: { ...(event[attributes] as object), ...change } };
  return { events: history.events.with(index, changed) };
}

/** The activities that run when the history ends, and those that made something when a removal was begun. */
function runningAtEnd({ events }: History): { readonly running: string[]; readonly raced: string[] } {
  const running = new Map<unknown, string>();
  const raced: string[] = [];
  for (const { eventId, ...event } of events) {
    const scheduled = event['activityTaskScheduledEventAttributes'] as { activityType: { name: string } } | undefined;
    if (scheduled !== undefined) {
      const making = [...running.values()].filter((name) => name.startsWith('ensure'));
      if (scheduled.activityType.name.startsWith('remove')) raced.push(...making);
      running.set(eventId, scheduled.activityType.name);
    }
    for (const end of ['Completed', 'Failed', 'TimedOut', 'Canceled']) {
      const ended = event[`activityTask${end}EventAttributes`] as { scheduledEventId: string } | undefined;
      if (ended !== undefined) running.delete(ended.scheduledEventId);
    }
  }
  return { running: [...running.values()], raced };
}

/** The history as it was when each of its workflow tasks had been answered. */
function prefixesOf(each: { readonly name: string; readonly history: History }) {
  const { events } = each.history;
  return events.flatMap(({ eventType }, index) => {
    if (eventType !== 'EVENT_TYPE_WORKFLOW_TASK_SCHEDULED' || index < 2) return [];
    return [{ name: `${each.name} up to ${index}`, history: { ...each.history, events: events.slice(0, index) } }];
  });
}

function historyOf(wanted: string): History {
  return recorded.find(({ name }) => name === wanted)!.history;
}

describe('recorded histories', () => {
  it('are there for every workflow, and for nothing else', () => {
    expect(recordedWorkflows()).toEqual(Object.keys(workflows).sort());
  });

  it('are each in the folder of their workflow', () => {
    expect(recorded.filter(({ workflow, history }) => workflowTypeOf(history) !== workflow)).toEqual([]);
  });

  it.each(recordedWorkflows())('of %s show it succeed and fail', (workflow) => {
    const ends = new Set(
      recorded.filter((each) => each.workflow === workflow).map(({ history }) => history.events.at(-1)?.eventType),
    );
    expect([...ends]).toContain('EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED');
    expect([...ends]).toContain('EVENT_TYPE_WORKFLOW_EXECUTION_FAILED');
  });

  it('let no activity run on when their workflow has ended', () => {
    const left = recorded.map(({ name, history }) => [name, runningAtEnd(history).running] as const);
    expect(left.filter(([, running]) => running.length > 0)).toEqual([]);
  });

  it('remove nothing while something is still being made', () => {
    const raced = recorded.map(({ name, history }) => [name, runningAtEnd(history).raced] as const);
    expect(raced.filter(([, making]) => making.length > 0)).toEqual([]);
  });

  it('are repeated by the workflows as they are now', async () => {
    expect(await replay(recorded)).toEqual([]);
  });

  it(`are repeated from ${everyPlace ? 'every place' : 'places'} where a worker may have died`, async () => {
    const prefixes = recorded.flatMap(prefixesOf).filter((_, index) => everyPlace || index % oneIn === 0);
    expect(prefixes.length).toBeGreaterThan(recorded.length);
    expect(await replay(prefixes)).toEqual([]);
  }, 300_000);
});

describe('replay', () => {
  it('refuses a history in which another activity was called', async () => {
    const history = altered(historyOf('trustChange/success'), 'activityTaskScheduledEventAttributes', {
      activityType: { name: 'removeNetwork' },
    });
    const [[name, error] = []] = await replay([{ name: 'altered', history }]);
    expect(name).toBe('altered');
    expect(error).toBeInstanceOf(DeterminismViolationError);
  });

  it('refuses a history in which another child was started', async () => {
    const history = altered(
      historyOf('bootstrapTrustDomain/success'),
      'startChildWorkflowExecutionInitiatedEventAttributes',
      {
        workflowType: { name: 'verifyTrustDomain' },
      },
    );
    const [[, error] = []] = await replay([{ name: 'altered', history }]);
    expect(error).toBeInstanceOf(DeterminismViolationError);
  });
});

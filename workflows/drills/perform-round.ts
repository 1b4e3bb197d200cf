// One failure from beginning to end: broken, watched, mended, and everything seen whole again. Its undo is registered before it is broken.
import { patched, sleep } from '@temporalio/workflow';
import type { DrillLook, RoundReport } from '../../activities/drills/drill.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { onDrill } from '../lib/calls.ts';
import type { Operator } from '../lib/operator.ts';
import type { ChangeProgress, ProgressKeeper } from '../lib/progress.ts';
import type { Undo } from '../lib/saga.ts';
import { readmitExpired } from '../readmit-agents.ts';
import { watchExpectation } from './expectations.ts';
import { beginRunbook, findRunbook } from './drill-runbook.ts';
import type { RunningRunbook } from './drill-runbook.ts';
import { guardMending } from './guard-mending.ts';
import { faultsOfLook } from './judge-look.ts';
import { mend } from './mend.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export interface RoundInput {
  readonly stage: DrillStage;
  readonly round: Round;
  readonly index: number;
  readonly undo: Undo;
  readonly operator: Operator;
  readonly progress: ProgressKeeper;
  readonly tell: (news: Partial<ChangeProgress>) => void;
  readonly note: (text: string) => void;
}

const settlingLooks = 5;
/** However long a failure is kept up, so many looks are enough. */
const mostLooks = 400;

export async function performRound(input: RoundInput): Promise<RoundReport> {
  const { stage, round, index, undo, operator, progress } = input;
  const { failure, faults } = round;
  await operator.interruptible(() => round.prepare?.() ?? Promise.resolve());
  // Undone last: agents come back to servers that are there.
  if (round.afterMending !== undefined) undo({ name: `after the mending: ${failure}`, run: round.afterMending });
  for (const { name, mending } of faults.toReversed()) undo({ name: `mending: ${name}`, run: () => mend(mending()) });
  if (patched('the mending outlives its drill')) await guardMending(stage, round, index);
  await progress.phase(`break: ${failure}`, () => operator.interruptible(() => breakAll(round)));
  const failedAt = Date.now();
  const watched = await progress.phase(`watch: ${failure}`, () => watchFailure(input, failedAt));
  await progress.phase(`mend: ${failure}`, async () => {
    for (const { mending } of faults.toReversed()) await mend(mending());
  });
  const mendedAt = Date.now();
  const recovered = await progress.phase(`recovery: ${failure}`, () => watchRecovery(input, watched.runbook, mendedAt));
  const { detected, runbook, expectations } = watched;
  const seconds = (from: number, to: number): number => Math.round((to - from) / 100) / 10;
  return {
    failure,
    failedAt: new Date(failedAt).toISOString(),
    ...(detected === undefined ? {} : { detected }),
    ...(runbook === undefined
      ? {}
      : {
          runbook: {
            workflowId: runbook.workflowId,
            afterSeconds: seconds(failedAt, runbook.startedAt),
            outcome: recovered.outcome,
          },
        }),
    mendedAfterSeconds: seconds(failedAt, mendedAt),
    ...(recovered.at === undefined ? {} : { recoveredAfterSeconds: seconds(mendedAt, recovered.at) }),
    expectations: expectations(),
  };
}

async function breakAll({ faults }: Round): Promise<void> {
  for (const { ensure } of faults) await ensure();
}

interface WatchedFailure extends Pick<RoundReport, 'detected'> {
  readonly runbook: RunningRunbook | undefined;
  readonly expectations: () => RoundReport['expectations'];
}

async function watchFailure(input: RoundInput, failedAt: number): Promise<WatchedFailure> {
  const { stage, round, operator, note } = input;
  const { hold, lookEvery, startRunbook } = stage.request.policy;
  const watched = round.expectations.map(watchExpectation);
  const pauseMs = Math.max(parseDuration(lookEvery), parseDuration(hold) / mostLooks);
  let detected: RoundReport['detected'];
  let runbook: RunningRunbook | undefined;
  for (;;) {
    const look = await operator.interruptible(() => lookNow(input));
    const elapsedMs = Math.max(0, Date.parse(look.at) - failedAt);
    for (const one of watched) one.take(look, elapsedMs);
    if (detected === undefined) {
      detected = await operator.interruptible(() => detect(input, look, failedAt));
      if (detected !== undefined) note(`${detected.what}, after ${detected.afterSeconds} s by ${detected.by}`);
    }
    if (runbook === undefined && detected !== undefined)
      runbook = startRunbook ? await beginRunbook(input) : await findRunbook(input, failedAt);
    if (watched.some((one) => one.isBroken())) break;
    // A runbook that has just begun is to find what it began for.
    const isSettled = runbook === undefined || Date.parse(look.at) - runbook.startedAt >= settlingLooks * parseDuration(lookEvery); // prettier-ignore
    if (isSettled && (await isOver(round, look, elapsedMs, parseDuration(hold)))) break;
    await operator.interruptible(() => sleep(pauseMs));
  }
  return { detected, runbook, expectations: () => watched.map((one) => one.report()) };
}

function lookNow({ stage: { topology, workloads }, round: { agent } }: RoundInput): Promise<DrillLook> {
  return onDrill().lookAtDrill({ topology, workloads, ...(agent === undefined ? {} : { agent }) });
}

async function isOver(round: Round, look: DrillLook, elapsedMs: number, holdMs: number): Promise<boolean> {
  return round.isOver === undefined ? elapsedMs >= holdMs : round.isOver(look, elapsedMs);
}

/** Prometheus has the last word where one is named: it is what would wake somebody. */
async function detect(
  { stage, round }: RoundInput,
  look: DrillLook,
  failedAt: number,
): Promise<RoundReport['detected']> {
  const { prometheus } = stage.request;
  const { name, labels } = round.alert;
  if (prometheus === undefined) {
    const what = await round.detect(look);
    const afterSeconds = Math.round(Math.max(0, Date.parse(look.at) - failedAt) / 100) / 10;
    return what === undefined ? undefined : { by: 'fleet', what: `${name}: ${what}`, afterSeconds };
  }
  const { state } = await onDrill().askAlert({ prometheus, alert: name, labels });
  if (state === 'inactive') return undefined;
  return {
    by: 'Prometheus',
    what: `${name} is ${state}`,
    afterSeconds: Math.round((Date.now() - failedAt) / 100) / 10,
  };
}

interface Recovered {
  /** When everything was seen whole; undefined where that did not come in time. */
  readonly at: number | undefined;
  readonly outcome: string;
}

async function watchRecovery(
  input: RoundInput,
  runbook: RunningRunbook | undefined,
  mendedAt: number,
): Promise<Recovered> {
  const { stage, round, operator, tell } = input;
  const { recovery, lookEvery } = stage.request.policy;
  const deadline = mendedAt + parseDuration(recovery);
  await operator.interruptible(() => round.afterMending?.() ?? Promise.resolve());
  let at: number | undefined;
  let outcome: string | undefined;
  try {
    for (;;) {
      if (at === undefined) {
        const look = await operator.interruptible(() => lookNow(input));
        const faults = [...faultsOfLook(look), ...((await round.notBack?.(look)) ?? [])];
        if (faults.length === 0) at = Date.parse(look.at);
        else tell({ waitingFor: `recovery: ${faults.slice(0, mostNamed).join('; ')}` });
      }
      outcome = await runbook?.outcome();
      const isDone = at !== undefined && (runbook === undefined || outcome !== undefined);
      if (isDone || Date.now() >= deadline) break;
      await operator.interruptible(() => sleep(parseDuration(lookEvery)));
    }
  } finally {
    tell({ waitingFor: undefined });
  }
  if (at === undefined && round.afterMending === undefined) await letBackIn(input);
  return { at: at === undefined ? undefined : Math.max(at, mendedAt), outcome: outcome ?? 'still running' };
}

/** A drill that did not end as it should leaves nobody locked out. */
async function letBackIn({ stage, operator, note }: RoundInput): Promise<void> {
  const { readmitted } = await operator.interruptible(() => readmitExpired(stage.request.plan));
  if (readmitted.length > 0) note(`agents that were locked out may attest again: ${readmitted.join(', ')}`);
}

const mostNamed = 5;

// One kind of abuse by several processes, and a well-behaved client beside them: it is served during and after, and the abused process is the same,
// no larger than it may be, and in the end holds no more files than before.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcError, statusCode } from '../../../runtime/rpc/status.ts';
import { usageOf } from '../../support/process-usage.ts';
import type { AbuseCase } from './abuse-cases.ts';
import type { AbuseStage, Target } from './abuse-stage.ts';
import type { AbuserOrder } from './abuser-process.ts';

const abuseMs = 6_000;
const beginPatienceMs = 60_000;
/** Two cores are shared with the abusers. */
const callDeadlineMs = 20_000;
const settlePatienceMs = 60_000;
/** Of the caller that looks, and of Node's own. */
const spareDescriptors = 16;

/** Ten thousand streams are 60 kB each. */
const limits = { streams: { abusers: 10, rssMb: 1_200 }, others: { abusers: 2, rssMb: 700 } };

export async function performAbuseCase(
  stage: AbuseStage,
  { name, target: targetName, kind }: AbuseCase,
  seed: number,
  tell: (line: string) => void,
): Promise<void> {
  const target = stage.targets[targetName];
  const { abusers: count, rssMb: largest } = kind === 'streams' ? limits.streams : limits.others;
  for (let call = 0; call < 20; call += 1) await callWell(target); // what it opens for good it has opened by then
  const before = usageOf(target.pid());
  const abusers: ChildProcess[] = [];
  try {
    for (let index = 0; index < count; index += 1) {
      const order: AbuserOrder = { kind, attacked: target.attacked, seed, subject: `${name}/${index}` };
      abusers.push(fork(new URL('./abuser-process.ts', import.meta.url), [JSON.stringify(order)]));
    }
    const signal = AbortSignal.timeout(beginPatienceMs);
    await Promise.all(abusers.map((abuser) => once(abuser, 'message', { signal })));
    const { calls, slowestMs, peak } = await callMeanwhile(target);
    const died = abusers.findIndex(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
    if (died !== -1) throw new Error(`abuser ${died} has ended before it was told to`);
    const during = `${calls} calls beside it, the slowest in ${slowestMs.toFixed(0)} ms`;
    tell(`${during}; ${peak.rssMb.toFixed(0)} MB and ${peak.descriptors} descriptors at most`);
    if (peak.rssMb > largest)
      throw new Error(`${targetName} had ${peak.rssMb.toFixed(0)} MB resident, at most ${largest}`);
  } finally {
    await Promise.all(abusers.map(stop));
  }
  await untilSettled(target, before.descriptors + spareDescriptors);
  await callWell(target);
  if (!target.isAlive()) throw new Error(`${targetName} has ended`);
}

/** Whoever finds no room to connect tries again, as every client of gRPC does; the deadline is for all of it. */
async function callWell(target: Target): Promise<void> {
  const until = performance.now() + callDeadlineMs;
  for (;;) {
    try {
      await target.call(Math.max(1, until - performance.now()));
      return;
    } catch (error) {
      const mayTryAgain = error instanceof RpcError && error.code === statusCode.UNAVAILABLE;
      if (!mayTryAgain || performance.now() > until) throw error;
      await sleep(100);
    }
  }
}

async function callMeanwhile(target: Target) {
  const until = performance.now() + abuseMs;
  let [calls, slowestMs, rssMb, descriptors] = [0, 0, 0, 0];
  do {
    const began = performance.now();
    await callWell(target);
    calls += 1;
    slowestMs = Math.max(slowestMs, performance.now() - began);
    const usage = usageOf(target.pid());
    rssMb = Math.max(rssMb, usage.rssMb);
    descriptors = Math.max(descriptors, usage.descriptors);
    await sleep(50);
  } while (performance.now() < until);
  return { calls, slowestMs, peak: { rssMb, descriptors } };
}

async function untilSettled(target: Target, most: number): Promise<void> {
  const until = performance.now() + settlePatienceMs;
  for (;;) {
    const { descriptors } = usageOf(target.pid());
    if (descriptors <= most) return;
    if (performance.now() > until) throw new Error(`${descriptors} descriptors are still open, at most ${most}`);
    await sleep(200);
  }
}

async function stop(abuser: ChildProcess): Promise<void> {
  if (abuser.exitCode !== null || abuser.signalCode !== null) return;
  const ended = once(abuser, 'exit');
  abuser.kill('SIGKILL');
  await ended;
}

// Waits inside an activity for something that takes a while: asks again and again, says at each turn that it is alive and what it saw last,
// and stops when the workflow is cancelled. A wait that never succeeds ends a moment before the activity's own timeout would end it, with what it saw.
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { failure } from './failures.ts';

/** Of the activity's time, so that its failure, which says more than a timeout, is heard. */
const used = 0.95;

/** `probe` answers what was waited for, or throws: a failure that may be retried is asked again, any other ends the wait. */
export async function waitUntil<T>(what: string, probe: () => Promise<T>, intervalMs = 500): Promise<T> {
  const context = Context.current();
  const began = Date.now();
  const patienceMs = context.info.startToCloseTimeoutMs * used;
  for (;;) {
    let reason: string;
    try {
      return await probe();
    } catch (cause) {
      if (cause instanceof ApplicationFailure && cause.nonRetryable === true) throw cause;
      reason = cause instanceof Error ? cause.message : String(cause);
      context.heartbeat(`waiting for ${what}: ${reason}`);
    }
    if (Date.now() + intervalMs - began > patienceMs)
      throw failure('NotReady', `waited ${Math.round((Date.now() - began) / 1000)} s for ${what}: ${reason}`);
    await context.sleep(intervalMs);
  }
}

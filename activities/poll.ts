// Waits inside an activity for something that takes a while: asks again and again, says at each turn that it is alive and what it saw last,
// and stops when the workflow is cancelled. The activity's own timeout ends a wait that never succeeds.
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';

/** `probe` answers what was waited for, or throws: a failure that may be retried is asked again, any other ends the wait. */
export async function waitUntil<T>(what: string, probe: () => Promise<T>, intervalMs = 500): Promise<T> {
  const context = Context.current();
  for (;;) {
    try {
      return await probe();
    } catch (cause) {
      if (cause instanceof ApplicationFailure && cause.nonRetryable === true) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      context.heartbeat(`waiting for ${what}: ${reason}`);
    }
    await context.sleep(intervalMs);
  }
}

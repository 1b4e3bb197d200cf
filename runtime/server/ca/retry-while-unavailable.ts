// The first look at the clock: the upstream, or the agent beside us that introduces us to it, may come up after us.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';

const defaultPatienceMs = 300_000;
const firstWaitMs = 500;
const longestWaitMs = 5_000;

/** Throws what the last attempt met; what no waiting would mend, at once. */
export async function retryWhileUnavailable(
  act: () => Promise<void>,
  patienceMs = defaultPatienceMs,
  { clock, log, signal }: Pick<AuthorityContext, 'clock' | 'log' | 'signal'>,
): Promise<void> {
  const deadline = clock() + patienceMs;
  for (let wait = firstWaitMs; ; wait = Math.min(wait * 2, longestWaitMs)) {
    try {
      await act();
      return;
    } catch (error) {
      const isUnavailable = error instanceof AuthorityError && error.code === 'UPSTREAM_UNAVAILABLE';
      if (!isUnavailable || clock() + wait > deadline) throw error;
      log.warn({ err: error }, 'upstream authority does not answer, trying again');
      await sleep(wait, undefined, { signal });
    }
  }
}

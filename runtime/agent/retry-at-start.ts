// The server may start later than the agent: what the agent needs before it can serve is tried again for a while, but a refusal is final.
import type { Logger } from '../log.ts';
import { RpcError, statusCode } from '../rpc/status.ts';
import { AgentStopped, refusalOf } from './refusal.ts';
import { StateError } from './state/state-error.ts';

export interface RetryOptions {
  readonly log: Logger;
  readonly clock: () => number;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** How long; then the process ends with an error, and whoever supervises it decides. */
  readonly patienceMs: () => number;
  /** Whether the failure was dealt with, so that the next attempt may follow at once. */
  readonly recover?: (error: unknown) => Promise<boolean>;
}

const firstWaitMs = 500;
const longestWaitMs = 5_000;
const growth = 1.5;

/** An agent that may wait for another bundle does so for a day, as SPIRE's. */
export function patienceMs(mayRebootstrap: boolean): number {
  return mayRebootstrap ? 24 * 3_600_000 : 60_000;
}

export async function retryAtStart(what: string, attempt: () => Promise<void>, options: RetryOptions): Promise<void> {
  const { log, clock, random, signal, recover } = options;
  const began = clock();
  let wait = firstWaitMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AgentStopped || error instanceof StateError) throw error;
      if ((await recover?.(error)) === true) continue;
      if (isFinal(error)) throw new AgentStopped('ATTESTATION_REFUSED', what, { cause: error });
      if (clock() - began >= options.patienceMs()) throw new AgentStopped('SERVER_UNREACHABLE', what, { cause: error });
      const retryMs = wait * (0.9 + 0.2 * random());
      log.warn({ err: error, retry_interval: `${Math.round(retryMs)}ms` }, what);
      await pause(retryMs, signal);
      wait = Math.min(longestWaitMs, wait * growth);
    }
  }
}

function isFinal(error: unknown): boolean {
  if (refusalOf(error) !== undefined) return true;
  return error instanceof RpcError && error.code === statusCode.PERMISSION_DENIED;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}

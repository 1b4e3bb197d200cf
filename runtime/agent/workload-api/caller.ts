// Finds out who calls the Workload API: the process at the other end of the socket, described by the workload attestors.
import type { WorkloadAttestor } from '../../attest/workload/attestor.ts';
import { WorkloadAttestError } from '../../attest/workload/attestor.ts';
import { processOwner, processStartTime } from '../../attest/workload/process.ts';
import type { Logger } from '../../log.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Connection, UnixConnection } from '../../rpc/connection.ts';
import { unavailable } from '../../rpc/status.ts';
import { createTurns } from './turns.ts';
import { sortSelectors } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';

export interface Callers {
  /** Throws UNAVAILABLE where the process cannot be attested. */
  attest(context: CallContext): Promise<Selector[]>;
  /** The same for a process that a delegate names; whether the pid is still that of the process it means is for the delegate to see. */
  attestProcess(pid: number): Promise<Selector[]>;
}

export interface CallersOptions {
  readonly attestors: readonly WorkloadAttestor[];
  readonly log: Logger;
  /** For each attestor. */
  readonly timeLimitMs?: number;
}

const defaultTimeLimitMs = 10_000;
/** As many as Node's threads can keep busy, and some that wait for a bus or a socket. */
const attestedAtOnce = 32;

export function createCallers({ attestors, log, timeLimitMs = defaultTimeLimitMs }: CallersOptions): Callers {
  const limited = attestors.map((attestor) => limitTime(attestor, timeLimitMs));
  const turns = createTurns(attestedAtOnce);
  const attest = async (connection: Connection): Promise<Selector[]> => {
    if (connection.transport !== 'unix')
      throw new WorkloadAttestError('PROCESS', 'caller is not a process of this machine');
    const { pid } = connection;
    if (pid === 0) throw new WorkloadAttestError('PROCESS', 'caller is of a pid namespace that is not visible here');
    await checkSameProcess(connection);
    const selectors = await describe(limited, pid, log);
    // The pid may have gone to another process meanwhile: then the selectors are not the caller's.
    await checkSameProcess(connection);
    return selectors;
  };

  const attestProcess = async (pid: number): Promise<Selector[]> => {
    const startTime = await processStartTime(pid);
    const selectors = await describe(limited, pid, log);
    if ((await processStartTime(pid)) !== startTime)
      throw new WorkloadAttestError('PROCESS_CHANGED', `process ${pid} ended while it was looked at`);
    return selectors;
  };

  const orUnavailable = async (pid: number | undefined, attested: Promise<Selector[]>): Promise<Selector[]> => {
    try {
      return await attested;
    } catch (error) {
      log.error({ pid, err: error }, 'Workload attestation failed');
      throw unavailable('workload attestation failed', { cause: error });
    }
  };

  return {
    attest({ connection, signal }) {
      const pid = connection.transport === 'unix' ? connection.pid : undefined;
      return turns.take(pid ?? 0, signal, () => orUnavailable(pid, attest(connection)));
    },
    attestProcess: (pid) => orUnavailable(pid, attestProcess(pid)),
  };
}

/** A pid alone proves nothing: its process must have started when the one that connected did, and still have that one's user and group. */
async function checkSameProcess({ pid, uid, gid, startTime }: UnixConnection): Promise<void> {
  if (startTime === undefined)
    throw new WorkloadAttestError('PROCESS', `process ${pid} had ended before its connection was accepted`);
  if ((await processStartTime(pid)) !== startTime) {
    throw new WorkloadAttestError('PROCESS_CHANGED', `process ${pid} is not the one that connected: it started later`);
  }
  const owner = await processOwner(pid);
  if (owner.uid !== uid || owner.gid !== gid) {
    throw new WorkloadAttestError(
      'PROCESS_CHANGED',
      `process ${pid} has user ${owner.uid} and group ${owner.gid}, but ${uid} and ${gid} connected`,
    );
  }
}

interface LimitedAttestor {
  readonly type: string;
  attest(pid: number): Promise<Selector[]>;
}

/** An attestor that hangs must not hold up what the others say, even one that does not heed its signal. */
function limitTime(attestor: WorkloadAttestor, timeLimitMs: number): LimitedAttestor {
  return {
    type: attestor.type,
    async attest(pid) {
      const limit = new AbortController();
      const limitError = new WorkloadAttestError('TIME_LIMIT', `attestor took longer than ${timeLimitMs} ms`);
      const timer = setTimeout(() => limit.abort(limitError), timeLimitMs);
      const over = new Promise<never>((_, reject) => {
        limit.signal.addEventListener('abort', () => reject(limitError), { once: true });
      });
      try {
        return await Promise.race([attestor.attest(pid, limit.signal), over]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** What some attestors cannot say, others may; only if all fail does the process stay unknown. */
async function describe(attestors: readonly LimitedAttestor[], pid: number, log: Logger): Promise<Selector[]> {
  const results = await Promise.allSettled(attestors.map((attestor) => attestor.attest(pid)));
  const errors: unknown[] = [];
  const selectors: Selector[] = [];
  for (const [i, result] of results.entries()) {
    if (result.status === 'fulfilled') {
      selectors.push(...result.value);
      continue;
    }
    errors.push(result.reason);
    log.warn({ plugin: attestors[i]?.type, pid, err: result.reason as unknown }, 'Workload attestor failed');
  }
  if (errors.length === results.length) {
    throw new WorkloadAttestError('NO_SELECTORS', `no workload attestor could describe process ${pid}`, {
      cause: errors[0],
    });
  }
  return sortSelectors(selectors);
}

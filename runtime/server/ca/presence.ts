// This server among the others on its database: it tells them what it has applied and which authorities it holds, and can wait for them.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../log.ts';
import type { ReplicaRecord, ReplicaReport } from '../store/records.ts';
import type { ReplicaStore, Store } from '../store/store.ts';
import { AuthorityError } from './authority.ts';
import { createAlarm } from './alarm.ts';

export interface Presence {
  /** Tells the others what holds now, where it is news to them. With the first report this server is one of those that others wait for. */
  report(): Promise<void>;
  /** Resolves once no live server is such a one; after a while, with those that still are. */
  readonly untilNone: (isWaitedFor: (replica: ReplicaRecord) => boolean) => Promise<readonly ReplicaRecord[]>;
  /** Resolves once every live server has applied our bundle up to this sequence number. Throws REPLICAS_BEHIND after a while, naming who has not. */
  untilApplied(sequenceNumber: number): Promise<void>;
  /** The others wait for this server no longer. */
  close(): Promise<void>;
}

export interface PresenceOptions {
  readonly store: ReplicaStore & Pick<Store, 'watch'>;
  readonly log: Logger;
  readonly id: string;
  readonly version: string;
  readonly state: () => Omit<ReplicaReport, 'id' | 'version'>;
  readonly patienceMs?: number;
}

/** Five of them fit into the life of a replica: one slow answer does not kill it. */
const heartbeatMs = 2_000;
/** Longer than a dead server counts, shorter than callers wait. */
const defaultPatienceMs = 15_000;
const leaveMs = 2_000;
/** For what no notification tells: that a server has died. */
const lookAgainMs = 1_000;

export function createPresence(options: PresenceOptions): Presence {
  const { store, log, id, version, state, patienceMs = defaultPatienceMs } = options;
  let told = '';
  let isClosed = false;
  const isOver = (): boolean => isClosed;
  let telling: Promise<void> = Promise.resolve();

  /** One after another, so that an older report never follows a newer one. */
  const tell = (isHeartbeat: boolean): Promise<void> => {
    const next = telling.then(async () => {
      const report: ReplicaReport = { id, version, ...state() };
      const text = JSON.stringify(report);
      if (isClosed || (text === told && !isHeartbeat)) return;
      await store.reportReplica(report);
      told = text;
    });
    // Whoever called hears of the failure; the next in line does not.
    telling = next.catch(() => undefined);
    return next;
  };
  let heartbeat: NodeJS.Timeout | undefined;
  const beat = (): void => {
    tell(true).catch((error: unknown) => log.warn({ err: error }, 'cannot tell the other servers that this one lives'));
  };

  const untilNone: Presence['untilNone'] = async (isWaitedFor) => {
    const deadline = performance.now() + patienceMs;
    const alarm = createAlarm();
    const unwatch = store.watch(({ kind }) => kind === 'replica' && alarm.ring());
    try {
      for (;;) {
        const left = deadline - performance.now();
        const others = (await store.listReplicas()).filter((one) => one.isLive && isWaitedFor(one));
        if (others.length === 0 || left <= 0) return others;
        if (isOver()) throw new AuthorityError('NOT_READY', 'the server is closing');
        await alarm.wait(Math.min(left, lookAgainMs));
      }
    } finally {
      unwatch();
    }
  };

  return {
    report() {
      if (!isClosed) heartbeat ??= setInterval(beat, heartbeatMs).unref();
      return tell(false);
    },
    untilNone,
    async untilApplied(sequenceNumber) {
      const behind = await untilNone(({ appliedSequence }) => appliedSequence < sequenceNumber);
      if (behind.length > 0) throw stillBehind(behind, sequenceNumber, patienceMs);
    },
    async close() {
      clearInterval(heartbeat);
      isClosed = true;
      await telling;
      const leaving = store
        .withdrawReplica(id)
        .catch((error: unknown) => log.warn({ err: error }, 'cannot take leave of the other servers'));
      // A database that is away does not keep us from going.
      await Promise.race([leaving, sleep(leaveMs, undefined, { ref: false })]);
    },
  };
}

function stillBehind(behind: readonly ReplicaRecord[], sequenceNumber: number, patienceMs: number): AuthorityError {
  const names = behind.map(({ id, appliedSequence }) => `${id} (at ${appliedSequence})`).join(', ');
  return new AuthorityError(
    'REPLICAS_BEHIND',
    `bundle ${sequenceNumber} is not applied everywhere after ${patienceMs / 1000} s: ${names}`,
  );
}

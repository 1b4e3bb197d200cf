// Acts on an authority that another server holds: asked of that server over the database, done there, answered back. And the other side of it.
import type { Logger } from '../../log.ts';
import { StoreError } from '../store/errors.ts';
import type { StoreErrorCode } from '../store/errors.ts';
import type { AuthorityActAnswer, AuthorityActRecord, AuthorityActRequest } from '../store/records.ts';
import type { AuthorityActStore, ReplicaStore, Store } from '../store/store.ts';
import { createAlarm } from './alarm.ts';
import { AuthorityError } from './authority.ts';
import type { AuthorityErrorCode, AuthorityState } from './authority.ts';
import type { FaultHook } from './fault-points.ts';

export type ActRequest = Pick<AuthorityActRequest, 'kind' | 'act' | 'authorityId'>;

export interface HandOver {
  /** What the owner answers. Throws its refusal, or REPLICA_UNAVAILABLE where it is dead or does not answer in time. */
  ask(owner: string, request: ActRequest): Promise<AuthorityState>;
  /** What others have asked of this server is done from now on. */
  start(): void;
  /** Ends after what is being done now. */
  readonly close: () => Promise<void>;
}

export interface HandOverOptions {
  readonly store: AuthorityActStore & ReplicaStore & Pick<Store, 'watch'>;
  readonly log: Logger;
  readonly replicaId: string;
  /** Does it here. */
  readonly perform: (request: ActRequest) => Promise<AuthorityState>;
  readonly faultPoint?: FaultHook | undefined;
  readonly patienceMs?: number;
}

/** What follows, the wait for all servers, must still fit into a caller's patience. */
const defaultPatienceMs = 10_000;
/** For what no notification tells: that the owner has died. */
const lookAgainMs = 1_000;

export function createHandOver(options: HandOverOptions): HandOver {
  const { store, log, replicaId, perform, faultPoint, patienceMs = defaultPatienceMs } = options;
  let isClosed = false;
  let unwatch = (): void => undefined;
  let retry: NodeJS.Timeout | undefined;
  let [working, isAskedAgain, done] = [false, false, Promise.resolve()];
  const isOver = (): boolean => isClosed;

  const work = async (): Promise<void> => {
    for (;;) {
      const act = isOver() ? undefined : await store.takeAct(replicaId);
      if (act === undefined) return;
      await faultPoint?.('handOver.taken');
      const answer = await perform(act).then((state) => ({ state }), refusalOf);
      await faultPoint?.('handOver.done');
      await store.answerAct(act.id, answer);
      await faultPoint?.('handOver.answered');
      log.info({ ...describe(act), asked_by: act.askedBy }, 'Act on an authority done for another server');
    }
  };
  const workSoon = (): void => {
    isAskedAgain = true;
    if (working || isClosed) return;
    clearTimeout(retry);
    working = true;
    done = (async () => {
      while (isAskedAgain && !isOver()) {
        isAskedAgain = false;
        await work().catch((error: unknown) => {
          log.warn({ err: error }, 'cannot answer another server, trying again');
          retry = setTimeout(workSoon, lookAgainMs);
        });
      }
      // In the same turn as the last look: whoever asks now starts anew.
      working = false;
    })();
  };

  const outcome = async (id: string, owner: string, deadline: number): Promise<AuthorityActRecord> => {
    const alarm = createAlarm();
    const stopWatching = store.watch((change) =>
      change.kind === 'act' && change.id === id ? alarm.ring() : undefined,
    );
    try {
      for (;;) {
        const act = await store.fetchAct(id);
        if (act?.state === 'answered' || act?.state === 'withdrawn') return act;
        const left = deadline - performance.now();
        if (left <= 0 || isOver()) throw await givenUp(id, owner, `does not answer within ${patienceMs / 1000} s`);
        const replica = (await store.listReplicas()).find((one) => one.id === owner);
        if (replica?.isLive !== true) throw await givenUp(id, owner, 'is gone');
        await alarm.wait(Math.min(left, lookAgainMs));
      }
    } finally {
      stopWatching();
    }
  };

  const givenUp = async (id: string, owner: string, why: string): Promise<AuthorityError> => {
    const isWithdrawn = await store.withdrawAct(id);
    const fate = isWithdrawn ? 'nothing was done' : 'it may have been done: look at the state before asking again';
    return new AuthorityError('REPLICA_UNAVAILABLE', `server ${owner}, which holds the authority, ${why}; ${fate}`);
  };

  return {
    async ask(owner, request) {
      const deadline = performance.now() + patienceMs;
      for (;;) {
        const { id } = await store.askAct({ ...request, owner, askedBy: replicaId });
        const { answer } = await outcome(id, owner, deadline);
        if (answer !== null) return stateOfAnswer(answer);
        // Somebody else who had asked the same has lost patience; we have not.
      }
    },
    start() {
      unwatch = store.watch(({ kind }) => (kind === 'act' || kind === 'reset' ? workSoon() : undefined));
      workSoon();
    },
    async close() {
      isClosed = true;
      unwatch();
      clearTimeout(retry);
      await done;
    },
  };
}

function describe({ kind, act, authorityId }: ActRequest) {
  return { authority_kind: kind, act, local_authority_id: authorityId };
}

function refusalOf(error: unknown): AuthorityActAnswer {
  if (error instanceof AuthorityError || error instanceof StoreError) {
    return { refusal: { name: error.name, code: error.code, message: error.message } };
  }
  // What it was is for the log of the server where it happened.
  return { refusal: { name: 'StoreError', code: 'INTERNAL', message: 'the server that holds the authority failed' } };
}

function stateOfAnswer(answer: AuthorityActAnswer): AuthorityState {
  if ('state' in answer) return answer.state;
  const { name, code, message } = answer.refusal;
  if (name === 'AuthorityError') throw new AuthorityError(code as AuthorityErrorCode, message);
  throw new StoreError(code as StoreErrorCode, message);
}

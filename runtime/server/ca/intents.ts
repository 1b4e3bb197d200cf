// Before an authority is signed or published, the store knows of it.
import { randomUUID } from 'node:crypto';
import type { Logger } from '../../log.ts';
import type { AuthorityIntent } from '../store/records.ts';
import type { IssuanceStore } from '../store/store.ts';

/** Throws where the store cannot be told: then nothing is signed. What it returns is called when the act is done. */
export type Intend = (what: Omit<AuthorityIntent, 'id' | 'replica'>) => Promise<() => Promise<void>>;

export interface IntentsOptions {
  readonly store: IssuanceStore;
  readonly replicaId: string;
  readonly log: Logger;
}

export function createIntents({ store, replicaId, log }: IntentsOptions): Intend {
  return async (what) => {
    const intent: AuthorityIntent = { id: randomUUID(), replica: replicaId, ...what };
    await store.recordIntent(intent);
    return async () => {
      // The authority is there, whether or not that is written down.
      await store
        .completeIntent(intent.id)
        .catch((error: unknown) => log.warn({ err: error, intent: intent.id }, 'cannot mark an intent as done'));
    };
  };
}

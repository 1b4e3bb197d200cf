// The latest value of a stream of the Workload API, and who is to hear of the next one: what an X.509 source and a JWT source have in common.
import type { RpcLog } from '../rpc/call-context.ts';
import { WorkloadError } from './errors.ts';
import { follow } from './follow.ts';
import type { Follow } from './follow.ts';

export interface Latest<T> {
  readonly value: () => T;
  /** Called after each change; the function that it returns ends that. */
  readonly onUpdate: (listener: () => void) => () => void;
  readonly close: () => void;
}

export interface LatestOptions<T> extends Pick<Follow<T>, 'open' | 'log'> {
  /** As it stands in messages: `X.509 source`. */
  readonly name: string;
  /** Of what it waits for: `SVID`. */
  readonly first: string;
  /** Closes it, also while it waits for its first value. */
  readonly signal: AbortSignal | undefined;
}

/** Resolves when the first value is there, however long that takes. */
export async function keepLatest<T>({ name, first, open, log, signal }: LatestOptions<T>): Promise<Latest<T>> {
  const closing = new AbortController();
  const ended = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
  const listeners = new Set<() => void>();
  let current: { readonly value: T } | undefined;

  await new Promise<void>((resolve, reject) => {
    const update = (value: T): void => {
      current = { value };
      resolve();
      for (const listener of listeners) notify(listener, name, log);
    };
    void follow({ open, log, signal: ended, update }).then(() => {
      reject(
        new WorkloadError('CLOSED', `the ${name} was closed before its first ${first} came`, { cause: ended.reason }),
      );
    });
  });

  return {
    value: () => (current as { readonly value: T }).value,
    onUpdate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      listeners.clear();
      closing.abort();
    },
  };
}

function notify(listener: () => void, name: string, log: RpcLog | undefined): void {
  try {
    listener();
  } catch (error) {
    log?.error({ err: error }, `listener of the ${name} failed`);
  }
}

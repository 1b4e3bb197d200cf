// A workload's X.509 identity, always the latest that the agent gave: watches the Workload API for as long as it lives and outlives the agent's
// restarts. What it holds stays in use while the agent is away.
import { setTimeout as delay } from 'node:timers/promises';
import type { RpcLog } from '../rpc/call-context.ts';
import { RpcError, statusCode } from '../rpc/status.ts';
import type { TrustBundle } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { WorkloadError } from './errors.ts';
import type { WorkloadApi } from './workload-api.ts';
import type { X509Context, X509Svid } from './x509-context.ts';

const retryMs = { first: 100, longest: 5_000 };

export interface X509Source {
  /** The default SVID. */
  svid(): X509Svid;
  svids(): readonly X509Svid[];
  /** Throws where the workload may not know that trust domain. */
  bundle(trustDomain: TrustDomain): TrustBundle;
  /** Called after each change; the function that it returns ends that. */
  onUpdate(listener: () => void): () => void;
  close(): void;
}

export interface X509SourceOptions {
  readonly api: Pick<WorkloadApi, 'fetchX509Svid'>;
  readonly log?: RpcLog;
  /** Closes the source, also while it waits for its first SVID. */
  readonly signal?: AbortSignal;
}

/** Resolves when the first SVID is there, however long that takes. */
export async function createX509Source({ api, log, signal }: X509SourceOptions): Promise<X509Source> {
  const closing = new AbortController();
  const ended = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
  const listeners = new Set<() => void>();
  let current: X509Context | undefined;

  await new Promise<void>((resolve, reject) => {
    const update = (context: X509Context): void => {
      current = context;
      resolve();
      for (const listener of listeners) notify(listener, log);
    };
    void watch({ api, log, signal: ended, update }).then(() => {
      reject(
        new WorkloadError('CLOSED', 'the X.509 source was closed before its first SVID came', { cause: ended.reason }),
      );
    });
  });

  const held = (): X509Context => current as X509Context;
  return {
    svid: () => held().svids[0],
    svids: () => held().svids,
    bundle(trustDomain) {
      const bundle = held().bundles.get(trustDomain.name);
      if (bundle !== undefined) return bundle;
      throw new WorkloadError('NO_BUNDLE', `no bundle of trust domain ${trustDomain.name}`);
    },
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

interface Watch {
  readonly api: X509SourceOptions['api'];
  readonly log: RpcLog | undefined;
  readonly signal: AbortSignal;
  readonly update: (context: X509Context) => void;
}

/** Resolves once the signal is aborted, and never rejects. */
async function watch({ api, log, signal, update }: Watch): Promise<void> {
  let waitMs = retryMs.first;
  const isClosed = (): boolean => signal.aborted;
  while (!isClosed()) {
    try {
      for await (const context of api.fetchX509Svid({ signal })) {
        if (isClosed()) return;
        update(context);
        waitMs = retryMs.first;
      }
    } catch (error) {
      if (isClosed()) return;
      log?.warn({ err: error, retryInMs: waitMs, permanent: isPermanent(error) }, 'Workload API stream failed');
      if (isPermanent(error)) waitMs = retryMs.longest;
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined); // aborted: the loop sees it
    waitMs = Math.min(waitMs * 2, retryMs.longest);
  }
}

/** The agent calls the request itself wrong: asking quickly again makes it no better. */
function isPermanent(error: unknown): boolean {
  return error instanceof RpcError && error.code === statusCode.INVALID_ARGUMENT;
}

function notify(listener: () => void, log: RpcLog | undefined): void {
  try {
    listener();
  } catch (error) {
    log?.error({ err: error }, 'listener of the X.509 source failed');
  }
}

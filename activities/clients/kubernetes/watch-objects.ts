// Keeps all objects of a kind as the cluster has them: lists them, then follows what changes. It never hangs: a watch that says nothing for too long – the API
// server sends a bookmark each minute – counts as dead, and what cannot be gone on with is listed anew. Between a loss and the next list it keeps what it knew.
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubernetesConnection } from './connection.ts';
import { KubernetesError } from './kubernetes-errors.ts';
import { listObjects } from './list-objects.ts';
import { pathOf } from './resource-kinds.ts';
import type { AnyObject, ResourceKind } from './resource-kinds.ts';

export interface WatchLog {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface WatchOptions {
  readonly connection: KubernetesConnection;
  readonly kind: ResourceKind;
  readonly labelSelector?: string;
  /** After the first list, and after each change, in which many may have come together. */
  readonly onChange: () => void;
  readonly log: WatchLog;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** How long a watch may say nothing. */
  readonly silenceMs?: number;
  readonly random?: () => number;
}

export interface WatchedObjects<T extends AnyObject> {
  /** Undefined until they have all been listed; an object that has changed is another object. */
  objects(): readonly T[] | undefined;
  /** Why it is not up to date, as far as that is known. */
  fault(): string | undefined;
}

const defaultSilenceMs = 90_000;
/** The API server ends a watch by itself after this. */
const watchSeconds = 300;
const pauseMs = { first: 200, longest: 15_000 } as const;
/** The resource version is too old to go on from. */
const gone = 410;

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T & { readonly code?: number; readonly message?: string };
}

export function watchObjects<T extends AnyObject>(options: WatchOptions): WatchedObjects<T> {
  const { connection, kind, labelSelector, onChange, log, signal, silenceMs = defaultSilenceMs } = options;
  const { random = Math.random } = options;
  const known = new Map<string, T>();
  let listed: readonly T[] | undefined;
  let version: string | undefined;
  let fault: string | undefined;

  const publish = (): void => {
    listed = [...known.values()];
    onChange();
  };

  async function list(): Promise<void> {
    const found = await listObjects<T>(connection, kind, { labelSelector, signal });
    version = found.resourceVersion;
    known.clear();
    for (const object of found.items) known.set(keyOf(object), object);
    publish();
  }

  /** Resolves when the API server ends it in its own time. */
  async function follow(): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(giveUp, silenceMs);
    function giveUp(): void {
      silence.abort(new Error(`nothing was said for ${silenceMs} ms`));
    }
    try {
      const ending = AbortSignal.any([signal, silence.signal]);
      const parameters = {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: version,
        timeoutSeconds: String(watchSeconds),
        labelSelector,
      };
      const response = await connection.open({ method: 'GET', path: pathOf(kind), parameters, signal: ending });
      try {
        let rest = '';
        response.setEncoding('utf8');
        for await (const chunk of response as AsyncIterable<string>) {
          clearTimeout(timer);
          timer = setTimeout(giveUp, silenceMs);
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          if (take(lines.filter((line) => line !== ''))) publish();
        }
      } catch (cause) {
        throw ending.aborted ? ending.reason : cause;
      } finally {
        response.destroy();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether anything has changed. */
  function take(lines: readonly string[]): boolean {
    let isChanged = false;
    for (const line of lines) {
      const { type, object } = JSON.parse(line) as WatchEvent<T>;
      if (type === 'ERROR') throw new KubernetesError(object.code ?? 0, object.message ?? 'the watch failed');
      version = object.metadata.resourceVersion ?? version;
      if (type === 'BOOKMARK') continue;
      isChanged = true;
      if (type === 'DELETED') known.delete(keyOf(object));
      else known.set(keyOf(object), object);
    }
    return isChanged;
  }

  async function keep(): Promise<void> {
    const isOver = (): boolean => signal.aborted;
    for (let failures = 0; !isOver();) {
      try {
        if (version === undefined) await list();
        fault = undefined;
        const began = Date.now();
        await follow();
        failures = Date.now() - began > pauseMs.longest ? 0 : failures + 1; // one that ends at once, again and again, is a fault, too
        if (failures < 3) continue;
      } catch (cause) {
        if (isOver()) return;
        failures += 1;
        fault = (cause as Error).message;
        if (cause instanceof KubernetesError && cause.status > 0) version = undefined; // it answers, but not this
        const isKnown = cause instanceof KubernetesError && cause.status === gone;
        log[isKnown ? 'debug' : 'warn']({ kind: kind.plural, namespace: kind.namespace, err: cause }, 'Watch ended');
      }
      const longest = Math.min(pauseMs.longest, pauseMs.first * 2 ** Math.min(failures, 10));
      await sleep(longest * (0.5 + random() / 2), undefined, { signal }).catch(() => undefined); // the loop looks at the signal
    }
  }

  void keep();
  return { objects: () => listed, fault: () => fault };
}

function keyOf({ metadata: { namespace, name } }: AnyObject): string {
  return `${namespace ?? ''}/${name}`;
}

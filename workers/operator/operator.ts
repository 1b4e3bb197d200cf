// The operator: watches the claims of both flavours, and looks at each when it changes, and again while its workflow runs. One of several replicas leads.
import { setTimeout as sleep } from 'node:timers/promises';
import { leadInTurn } from '../../activities/clients/kubernetes/leadership.ts';
import type { KubernetesConnection } from '../../activities/clients/kubernetes/connection.ts';
import { createKubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import { KubernetesError } from '../../activities/clients/kubernetes/kubernetes-errors.ts';
import type { ResourceKind } from '../../activities/clients/kubernetes/resource-kinds.ts';
import { watchObjects } from '../../activities/clients/kubernetes/watch-objects.ts';
import type { WatchedObjects, WatchLog } from '../../activities/clients/kubernetes/watch-objects.ts';
import type { ClaimObject } from './claim.ts';
import { reconcile } from './reconcile.ts';
import type { Runs } from './runs.ts';

export interface OperatorOptions {
  readonly connection: KubernetesConnection;
  readonly runs: Runs;
  /** Whose claims are looked at; everybody's where nothing is said. */
  readonly namespace: string | undefined;
  /** Where the lease is. */
  readonly leaseNamespace: string;
  readonly identity: string;
  readonly clock: () => number;
  readonly log: WatchLog & { info(fields: object, message: string): void };
  readonly signal: AbortSignal;
  readonly silenceMs?: number;
  readonly leaseMs?: number;
  /** Each time that the API server has answered this replica. */
  readonly onAnswer?: () => void;
}

const flavours = ['espalier.io', 'legacy.espalier.io'] as const;
const plural = 'spiretrustdomains';
const version = 'v1alpha1';
const failedMs = 5_000;

/** Until the signal. */
export async function runOperator(options: OperatorOptions): Promise<void> {
  const { connection, leaseNamespace: namespace, identity, clock, log, signal, leaseMs, onAnswer } = options;
  const api = createKubernetesApi(connection);
  const lease = { api, namespace, name: 'espalier-operator', identity, clock, log, signal };
  const given = {
    ...(leaseMs === undefined ? {} : { durationMs: leaseMs }),
    ...(onAnswer === undefined ? {} : { onAnswer }),
  };
  await leadInTurn({ ...lease, ...given }, (leading) => watchClaims({ ...options, signal: leading }));
}

interface Watched {
  readonly kind: ResourceKind;
  readonly claims: WatchedObjects<ClaimObject>;
}

async function watchClaims(options: OperatorOptions): Promise<void> {
  const { connection, runs, namespace, clock, log, signal, silenceMs } = options;
  const api = createKubernetesApi(connection);
  /** Which version of each claim was looked at, and when it is to be looked at again, by what it is called. */
  const looked = new Map<string, { readonly version: string | undefined; readonly dueAt: number }>();
  let wake = new AbortController();
  const ring = (): void => wake.abort();

  const installed = await installedFlavours(connection, log, signal);
  const watched = installed.map((group): Watched => {
    const kind: ResourceKind = { group, version, plural, namespace };
    const watch = { connection, kind, onChange: ring, log, signal };
    return { kind, claims: watchObjects<ClaimObject>({ ...watch, ...(silenceMs === undefined ? {} : { silenceMs }) }) };
  });

  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    wake = new AbortController();
    const all = watched.flatMap(({ kind, claims }) => (claims.objects() ?? []).map((object) => ({ kind, object })));
    const isListed = watched.every(({ claims }) => claims.objects() !== undefined);
    const present = new Set(all.map(({ kind, object }) => nameOf(kind, object)));
    for (const name of looked.keys()) if (!present.has(name)) looked.delete(name);
    // Who holds a trust domain is known when all claims are.
    for (const { kind, object } of isListed ? all : []) {
      if (isOver()) return;
      const name = nameOf(kind, object);
      const { resourceVersion } = object.metadata;
      const before = looked.get(name);
      if (before !== undefined && before.version === resourceVersion && before.dueAt > clock()) continue;
      const inPlace = { ...kind, namespace: object.metadata.namespace };
      const againMs = await reconcile(
        { api, runs, clock, log },
        inPlace,
        object,
        all.map((one) => one.object),
      ).catch((cause: unknown) => {
        log.warn({ claim: name, err: cause }, 'Claim: not looked at');
        return failedMs;
      });
      looked.set(name, { version: resourceVersion, dueAt: clock() + againMs });
    }
    const next = Math.min(...[...looked.values()].map(({ dueAt }) => dueAt), clock() + 60_000) - clock();
    await sleep(Math.max(next, 50), undefined, { signal: AbortSignal.any([wake.signal, signal]) }).catch(
      () => undefined,
    );
  }
}

function nameOf({ group }: ResourceKind, { metadata: { namespace, name } }: ClaimObject): string {
  return `${group}/${namespace ?? ''}/${name}`;
}

/** Of both packages either may be there. Waits for the first; one that is installed later is seen at the next start. */
async function installedFlavours(
  connection: KubernetesConnection,
  log: OperatorOptions['log'],
  signal: AbortSignal,
): Promise<readonly string[]> {
  while (!signal.aborted) {
    const found = await Promise.all(flavours.map((group) => isInstalled(connection, group)));
    const installed = flavours.filter((_, index) => found[index] === true);
    if (installed.length > 0 && !found.includes(undefined)) return installed;
    log.warn({ kind: plural }, found.includes(undefined) ? 'API server cannot be asked' : 'Kind is not installed');
    await sleep(failedMs, undefined, { signal }).catch(() => undefined);
  }
  return [];
}

/** `undefined` where that cannot be said. */
async function isInstalled(connection: KubernetesConnection, group: string): Promise<boolean | undefined> {
  try {
    const path = `/apis/${group}/${version}`;
    const { resources } = await connection.ask<{ resources: readonly { name: string }[] }>({ method: 'GET', path });
    return resources.some(({ name }) => name === plural);
  } catch (cause) {
    return cause instanceof KubernetesError && cause.status === 404 ? false : undefined;
  }
}

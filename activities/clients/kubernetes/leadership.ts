// One of several replicas leads: whoever holds the Lease (coordination.k8s.io/v1) and renews it. It stops leading, by its own clock, before another may begin.
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubernetesApi } from './kubernetes-api.ts';
import { KubernetesError } from './kubernetes-errors.ts';
import type { AnyObject, ResourceKind } from './resource-kinds.ts';
import type { WatchLog } from './watch-objects.ts';

export interface LeadershipOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  readonly name: string;
  /** Of this replica: unique. */
  readonly identity: string;
  readonly log: WatchLog;
  readonly signal: AbortSignal;
  readonly clock?: () => number;
  readonly durationMs?: number;
  /** Each time that the API server has answered, whoever leads. */
  readonly onAnswer?: () => void;
}

interface Lease extends AnyObject {
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number | null;
    readonly renewTime?: string | null;
    readonly acquireTime?: string | null;
    readonly leaseTransitions?: number | null;
  };
}

const defaultDurationMs = 15_000;

/**
 * Leads, again and again, until the signal: `lead` runs while this replica holds the lease and is told by its own signal when it does no longer. Whether somebody
 * else's lease has run out is judged by when it was last seen to change, since clocks differ.
 */
export async function leadInTurn(
  options: LeadershipOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { api, namespace, name, identity, log, signal, clock = Date.now, durationMs = defaultDurationMs } = options;
  const { onAnswer = () => undefined } = options;
  const kind: ResourceKind = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', namespace };
  const retryMs = durationMs / 5;
  const isOver = (): boolean => signal.aborted;
  let seen: { readonly version: string | undefined; readonly at: number } = { version: undefined, at: 0 };

  /** When it was asked for, which is when it counts from; undefined where somebody else has it. */
  async function acquire(): Promise<number | undefined> {
    const askedAt = clock();
    const found = await api.find<Lease>(kind, name);
    onAnswer();
    const now = new Date(askedAt).toISOString().replace('Z', '000Z'); // MicroTime
    const spec = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(durationMs / 1000), renewTime: now };
    if (found === undefined) {
      const header = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } };
      await api.create(kind, { ...header, spec: { ...spec, acquireTime: now, leaseTransitions: 0 } });
      return askedAt;
    }
    const { holderIdentity, leaseDurationSeconds, leaseTransitions, acquireTime } = found.spec ?? {};
    const isMine = holderIdentity === identity;
    if (seen.version !== found.metadata.resourceVersion)
      seen = { version: found.metadata.resourceVersion, at: askedAt };
    const isFree = (holderIdentity ?? '') === '' || askedAt - seen.at > (leaseDurationSeconds ?? 0) * 1000;
    if (!isMine && !isFree) return undefined;
    const since = isMine
      ? { acquireTime, leaseTransitions }
      : { acquireTime: now, leaseTransitions: (leaseTransitions ?? 0) + 1 };
    // With the version that was read: of two that try at once, one is refused.
    await api.replace(kind, { ...found, spec: { ...spec, ...since } });
    return askedAt;
  }

  const tryAcquire = (): Promise<number | undefined> =>
    acquire().catch((cause: unknown) => {
      const isLate = cause instanceof KubernetesError && cause.status === 409; // somebody was faster
      log[isLate ? 'debug' : 'warn']({ err: cause, lease: name }, 'Lease not had');
      return undefined;
    });
  const pause = (): Promise<unknown> => sleep(retryMs, undefined, { signal }).catch(() => undefined);

  async function release(): Promise<void> {
    const found = await api.find<Lease>(kind, name);
    if (found?.spec?.holderIdentity !== identity) return;
    await api.replace(kind, { ...found, spec: { ...found.spec, holderIdentity: '', leaseDurationSeconds: 1 } });
  }

  while (!isOver()) {
    const acquiredAt = await tryAcquire();
    if (acquiredAt === undefined) {
      await pause();
      continue;
    }
    log.debug({ lease: name, identity }, 'Leading');
    const losing = new AbortController();
    const lose = (): void => {
      log.warn({ lease: name, identity }, 'Lease lost');
      losing.abort(new Error(`lease ${name} was lost`));
    };
    // Two thirds: it is over here before it is over for anybody else. By a timer, as an API server that says nothing holds a renewal up for longer.
    const endAfter = (since: number): NodeJS.Timeout => setTimeout(lose, since + (durationMs * 2) / 3 - clock());
    let ending = endAfter(acquiredAt);
    const working = lead(AbortSignal.any([signal, losing.signal])).finally(() => losing.abort());
    const isLost = (): boolean => losing.signal.aborted;
    while (!isOver() && !isLost()) {
      await sleep(retryMs, undefined, { signal: AbortSignal.any([signal, losing.signal]) }).catch(() => undefined);
      if (isOver() || isLost()) break;
      const renewedAt = await tryAcquire();
      if (renewedAt === undefined || isLost()) continue;
      clearTimeout(ending);
      ending = endAfter(renewedAt);
    }
    clearTimeout(ending);
    await working;
    await release().catch((cause: unknown) => log.debug({ err: cause, lease: name }, 'Lease not given back'));
  }
}

// Several replicas and one lease, on an API server of a page: who leads, when one dies, when one is cut off.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { KubernetesError } from '../../../activities/clients/kubernetes/kubernetes-errors.ts';
import type { KubernetesApi } from '../../../activities/clients/kubernetes/kubernetes-api.ts';
import { leadInTurn } from '../../../activities/clients/kubernetes/leadership.ts';

interface Lease {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions?: number };
}

const durationMs = 500;
let lease: Lease | undefined;
const running: { stopping: AbortController; ended: Promise<void> }[] = [];
const leaders = new Set<string>();
let most = 0;

interface Reach {
  /** Whether this replica has a way to it. */
  able: boolean;
  /** Whether it hears nothing, not even a refusal. */
  isSilent: boolean;
}

function apiFor(reach: Reach): KubernetesApi {
  const guard = (): void => {
    if (!reach.able) throw new KubernetesError(0, 'no answer: cut off');
  };
  const write = (object: unknown): Promise<never> => {
    const given = object as Lease;
    if (lease !== undefined && lease.metadata.resourceVersion !== given.metadata.resourceVersion)
      return Promise.reject(new KubernetesError(409, 'status 409: changed meanwhile'));
    const resourceVersion = String(Number(lease?.metadata.resourceVersion ?? 0) + 1);
    lease = { ...given, metadata: { ...given.metadata, resourceVersion } };
    return Promise.resolve(lease as never);
  };
  return {
    find: async () => {
      guard();
      if (reach.isSilent) await sleep(10 * durationMs);
      return structuredClone(lease) as never;
    },
    create: async (_, object) => (guard(), write({ ...object, metadata: { name: 'l', resourceVersion: undefined } })),
    replace: async (_, object) => (guard(), write(object)),
  } as Partial<KubernetesApi> as KubernetesApi;
}

function replica(identity: string) {
  const reach: Reach = { able: true, isSilent: false };
  const stopping = new AbortController();
  const log = { debug: () => undefined, warn: () => undefined };
  const ended = leadInTurn(
    { api: apiFor(reach), namespace: 'n', name: 'l', identity, log, signal: stopping.signal, durationMs },
    async (signal) => {
      leaders.add(identity);
      most = Math.max(most, leaders.size);
      await sleep(60_000, undefined, { signal }).catch(() => undefined);
      leaders.delete(identity);
    },
  );
  running.push({ stopping, ended });
  return { reach, stopping, ended };
}

afterEach(async () => {
  for (const { stopping } of running) stopping.abort();
  await Promise.all(running.splice(0).map(({ ended }) => ended));
  lease = undefined;
  most = 0;
});

const led = (...who: string[]) => expect.poll(() => [...leaders]).toEqual(who);

it('one of three leads, and no two ever at once', async () => {
  for (const name of ['a', 'b', 'c']) replica(name);
  await expect.poll(() => leaders.size).toBe(1);
  await sleep(2 * durationMs);
  // Where this process got no turn for a while the lease is lost, and had again.
  await expect.poll(() => leaders.size).toBe(1);
  expect(most).toBe(1);
});

it('one that stops gives the lease back: the next leads at once', async () => {
  const first = replica('a');
  await led('a');
  replica('b');
  first.stopping.abort();
  await first.ended;
  expect(lease!.spec.holderIdentity).toBe('');
  await led('b');
  expect(lease!.spec.leaseTransitions).toBe(1);
});

it('one that is cut off stops leading before another begins', async () => {
  const first = replica('a');
  await led('a');
  replica('b');
  first.reach.able = false;
  await led('b');
  expect(most).toBe(1);
  first.reach.able = true;
  await sleep(2 * durationMs);
  await led('b');
  expect(most).toBe(1);
});

it('one that the API server does not answer stops in time, and not when the answer comes', async () => {
  const first = replica('a');
  await led('a');
  replica('b');
  first.reach.isSilent = true;
  await led('b');
  expect(most).toBe(1);
  first.reach.isSilent = false;
});

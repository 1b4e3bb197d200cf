// Waiting for what Crossplane makes, in faked time: an API server that is away for a minute, or for good, and providers that never get anything ready. The
// objects are a fake that keeps what was applied; that Kubernetes has them so is shown in test/peers/infrastructure-crossplane.test.ts.
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createComposites } from '../../../activities/clients/crossplane/composites.ts';
import type { CompositeObject, Condition, Objects } from '../../../activities/clients/crossplane/objects.ts';
import { failure } from '../../../activities/failures.ts';

const minute = 60_000;
const network = { kind: 'SpireNetwork', name: 'network', spec: { cloud: 'aws' } } as const;
const began = new Date('2026-11-27T00:00:00Z');

beforeEach(() => void vi.useFakeTimers({ now: began }));
afterEach(() => void vi.useRealTimers());

const standing: readonly Condition[] = [
  { type: 'Synced', status: 'True' },
  { type: 'Ready', status: 'True' },
];
const creating: readonly Condition[] = [
  { type: 'Synced', status: 'True' },
  { type: 'Ready', status: 'False', reason: 'Creating', lastTransitionTime: began.toISOString() },
];

interface World {
  /** From when to when nobody answers, in milliseconds from the beginning. */
  readonly away?: readonly [number, number];
  readonly conditions: () => readonly Condition[];
  readonly part?: CompositeObject;
}

function createWorld({ away = [0, 0], conditions, part }: World) {
  const applied: string[] = [];
  const present = new Set<string>();
  const answer = <T>(value: () => T): Promise<T> => {
    const now = Date.now() - began.getTime();
    return now >= away[0] && now < away[1]
      ? Promise.reject(failure('Unavailable', 'API server: connect ECONNREFUSED'))
      : Promise.resolve(value());
  };
  const objectOf = (name: string): CompositeObject => ({
    apiVersion: 'espalier.io/v1alpha1',
    kind: 'SpireNetwork',
    metadata: { name, generation: 1 },
    spec: part === undefined ? {} : { crossplane: { resourceRefs: [{ ...part, name: part.metadata.name }] } },
    status: { conditions: conditions() },
  });
  const objects: Objects = {
    get: (_, name) => answer(() => (present.has(name) ? objectOf(name) : undefined)),
    look: () => answer(() => part),
    list: () => answer(() => []),
    apply: ({ name }) =>
      answer(() => {
        applied.push(name);
        present.add(name);
      }),
    remove: (_, name) => answer(() => void present.delete(name)),
    readSecret: () => answer(() => undefined),
  };
  const environment = new MockActivityEnvironment({ startToCloseTimeoutMs: 10 * minute });
  const heard: { readonly at: number; readonly said: string }[] = [];
  environment.on('heartbeat', (said: string) => heard.push({ at: Date.now() - began.getTime(), said }));
  const act = async (
    perform: (composites: ReturnType<typeof createComposites>) => Promise<unknown>,
  ): Promise<unknown> => {
    const outcome = environment.run(() => perform(createComposites(objects))).catch((cause: unknown) => cause);
    await vi.advanceTimersByTimeAsync(11 * minute);
    return outcome;
  };
  const longestSilence = (): number => {
    expect(heard.length).toBeGreaterThan(60);
    return Math.max(...heard.slice(1).map(({ at }, index) => at - (heard[index]?.at ?? 0)));
  };
  return { act, applied, present, heard, longestSilence };
}

it.each([
  ['before it is taken', 0],
  ['while it is made', 5_000],
])(
  'an API server that goes away for a minute %s is waited for, and what was asked for is there once',
  async (_, from) => {
    const isMade = (): boolean => Date.now() - began.getTime() >= from + minute + 20_000;
    const world = createWorld({ away: [from, from + minute], conditions: () => (isMade() ? standing : creating) });
    expect(await world.act((composites) => composites.ensure(network))).toMatchObject({
      metadata: { name: 'network' },
    });
    expect(world.applied).toEqual(['network']);
    // Somebody who listens never takes the worker for dead, and hears what it waits for.
    expect(world.longestSilence()).toBeLessThanOrEqual(1_000);
    expect(world.heard.filter(({ said }) => said.includes('connect ECONNREFUSED')).length).toBeGreaterThanOrEqual(59);
  },
);

it('one that goes away for a minute while something is taken away is waited for too', async () => {
  const world = createWorld({ away: [500, minute], conditions: () => standing });
  world.present.add('network');
  expect(await world.act((composites) => composites.remove('SpireNetwork', 'network'))).toBeUndefined();
  expect(world.present.size).toBe(0);
  expect(world.heard.at(-1)!.at).toBeGreaterThanOrEqual(minute - 1_000);
});

it('one that stays away is what the failure says, before the time is up', async () => {
  const world = createWorld({ away: [0, Infinity], conditions: () => standing });
  expect(await world.act((composites) => composites.ensure(network))).toMatchObject({
    type: 'NotReady',
    message: expect.stringMatching(
      /^waited 570 s for SpireNetwork network to be taken: API server: connect ECONNREFUSED/,
    ) as string,
  });
  expect(world.heard.at(-1)!.at).toBeLessThan(10 * minute);
});

it('a provider that never gets ready is named with its part, since when, and what it says, before the time is up', async () => {
  const part = {
    apiVersion: 'ec2.aws.m.upbound.io/v1beta1',
    kind: 'VPC',
    metadata: { name: 'network-vpc' },
    spec: {},
    status: { conditions: creating },
  };
  const world = createWorld({ conditions: () => creating, part });
  expect(await world.act((composites) => composites.ensure(network))).toMatchObject({
    type: 'NotReady',
    message:
      'waited 570 s for SpireNetwork network: SpireNetwork network is not ready: Ready is False since 2026-11-27T00:00:00.000Z, Creating; ' +
      'VPC network-vpc is not ready: Ready is False since 2026-11-27T00:00:00.000Z, Creating',
  });
  expect(world.longestSilence()).toBeLessThanOrEqual(1_000);
});

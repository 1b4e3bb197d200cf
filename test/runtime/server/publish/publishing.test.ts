// When bundles are published, by publishers that only remember what they were given.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLog } from '../../../../runtime/log.ts';
import type { BundlePublisher } from '../../../../runtime/server/publish/bundle-publisher.ts';
import { startPublishing } from '../../../../runtime/server/publish/publishing.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';

const lines: string[] = [];
const log = createLog({ level: 'info', format: 'text', write: (line) => void lines.push(line) });
const numbered = (sequenceNumber: number): TrustBundle => ({
  ...emptyBundle(parseTrustDomain('example.org')),
  sequenceNumber,
});

/** Its bundle changes when it is told. */
function authorityOf() {
  let current = numbered(1);
  const listeners = new Set<(bundle: TrustBundle) => void>();
  return {
    bundle: () => current,
    onBundle(listener: (bundle: TrustBundle) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    change(sequenceNumber: number) {
      current = numbered(sequenceNumber);
      for (const listener of listeners) listener(current);
    },
    isFollowed: () => listeners.size > 0,
  };
}

function publisherOf(act: (attempt: number, signal: AbortSignal) => Promise<void> = () => Promise.resolve()) {
  const published: number[] = [];
  const publisher: BundlePublisher = {
    name: 'remembering',
    publish({ sequenceNumber }, signal) {
      published.push(sequenceNumber);
      return act(published.length, signal);
    },
  };
  return { published, publisher };
}

beforeEach(() => {
  vi.useFakeTimers();
  lines.length = 0;
});
afterEach(() => vi.useRealTimers());
const turns = () => vi.advanceTimersByTimeAsync(0);

test('a bundle is published at the start and at each change', async () => {
  const [authority, { published, publisher }] = [authorityOf(), publisherOf()];
  const stop = startPublishing({ publishers: [publisher], authority, log });
  await turns();
  expect(published).toEqual([1]);
  authority.change(2);
  await turns();
  expect(published).toEqual([1, 2]);
  await stop();
});

test('changes that come while one is published are published once, the newest', async () => {
  const authority = authorityOf();
  let finish = (): void => undefined;
  const { published, publisher } = publisherOf((attempt) =>
    attempt === 1 ? new Promise((resolve) => (finish = resolve)) : Promise.resolve(),
  );
  const stop = startPublishing({ publishers: [publisher], authority, log });
  for (const number of [2, 3, 4]) authority.change(number);
  await turns();
  expect(published).toEqual([1]);
  finish();
  await turns();
  expect(published).toEqual([1, 4]);
  await stop();
});

test('what failed is tried again, and said; the others do not wait for it', async () => {
  const authority = authorityOf();
  const failing = publisherOf((attempt) => (attempt < 3 ? Promise.reject(new Error('no way')) : Promise.resolve()));
  const fine = publisherOf();
  const publishers = [failing.publisher, fine.publisher];
  const stop = startPublishing({ publishers, authority, log, retryMs: 1000, repeatMs: 60_000 });
  await turns();
  expect([failing.published, fine.published]).toEqual([[1], [1]]);
  await vi.advanceTimersByTimeAsync(2000);
  expect([failing.published, fine.published]).toEqual([[1, 1, 1], [1]]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(failing.published).toHaveLength(3);
  expect(lines.filter((line) => line.includes('Failed to publish bundle'))).toHaveLength(2);
  expect(lines[0]).toMatch(/bundle_publisher=remembering.*no way/);
  await stop();
});

test('a bundle is published again now and then, though nothing changed', async () => {
  const [authority, { published, publisher }] = [authorityOf(), publisherOf()];
  const stop = startPublishing({ publishers: [publisher], authority, log, repeatMs: 60_000 });
  await vi.advanceTimersByTimeAsync(125_000);
  expect(published).toEqual([1, 1, 1]);
  await stop();
});

test('stopping ends what is under way, and nothing is published afterwards', async () => {
  const authority = authorityOf();
  const { published, publisher } = publisherOf(
    (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('over')))),
  );
  const stop = startPublishing({ publishers: [publisher], authority, log });
  await turns();
  await stop();
  expect(authority.isFollowed()).toBe(false);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(published).toEqual([1]);
  expect(lines).toEqual([]);
});

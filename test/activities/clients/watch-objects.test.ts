// A watch as an API server may let it go on: in pages, in pieces, silent, ended, too old. The API server is a script of answers; the real one is in test/peers.
import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KubernetesError } from '../../../activities/clients/kubernetes/kubernetes-errors.ts';
import type { KubernetesConnection, Query } from '../../../activities/clients/kubernetes/connection.ts';
import { watchObjects } from '../../../activities/clients/kubernetes/watch-objects.ts';
import type { WatchedObjects } from '../../../activities/clients/kubernetes/watch-objects.ts';
import type { AnyObject } from '../../../activities/clients/kubernetes/resource-kinds.ts';

const kind = { group: '', version: 'v1', plural: 'pods', namespace: 'trust' };
const shortMs = 300;
let lists: unknown[];
let streams: PassThrough[];
let refusals: KubernetesError[];
let asked: Query[];
let stopping: AbortController;
let changes: number;
let warned: string[];
let pods: WatchedObjects<AnyObject>;

const connection: KubernetesConnection = {
  ask: <T>(query: Query) => {
    asked.push(query);
    const answer = lists.shift();
    if (answer === undefined) return Promise.reject(new KubernetesError(0, 'no answer: nobody there'));
    return Promise.resolve(answer as T);
  },
  open(query) {
    asked.push(query);
    const refusal = refusals.shift();
    if (refusal !== undefined) return Promise.reject(refusal);
    const stream = new PassThrough();
    streams.push(stream);
    query.signal?.addEventListener('abort', () => stream.destroy(query.signal?.reason as Error));
    return Promise.resolve(stream as unknown as IncomingMessage);
  },
};

const pod = (name: string, resourceVersion: string) => ({ metadata: { name, namespace: 'trust', resourceVersion } });
const page = (resourceVersion: string, items: readonly AnyObject[], more?: string) => ({
  items,
  metadata: { resourceVersion, ...(more === undefined ? {} : { continue: more }) },
});
const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const names = (): string[] | undefined => pods.objects()?.map(({ metadata }) => metadata.name);
const stream = (index: number): Promise<PassThrough> =>
  expect
    .poll(() => streams[index])
    .toBeDefined()
    .then(() => streams[index]!);
const sinceOf = (index: number): string | undefined =>
  asked.filter(({ parameters }) => parameters?.['watch'] === 'true')[index]?.parameters?.['resourceVersion'];

/** A watch may be silent for longer than a test lasts, unless told. */
function start(silenceMs = 600_000): void {
  const warn = (fields: object): void => void warned.push((fields as { err: Error }).err.message);
  const log = { debug: () => undefined, warn };
  const onChange = (): void => void (changes += 1);
  pods = watchObjects({ connection, kind, onChange, log, signal: stopping.signal, silenceMs, random: () => 0 });
}

beforeEach(() => {
  [lists, streams, refusals, asked, changes, warned] = [[], [], [], [], 0, []];
  stopping = new AbortController();
});
afterEach(() => stopping.abort());

it('knows nothing before everything is listed, page by page', async () => {
  lists = [page('1', [pod('a', '1')], 'more'), page('5', [pod('b', '2')])];
  start();
  expect(pods.objects()).toBeUndefined();
  await stream(0);
  expect(names()).toEqual(['a', 'b']);
  expect(changes).toBe(1);
  expect(asked[1]!.parameters).toMatchObject({ continue: 'more', limit: '500' });
  expect(sinceOf(0)).toBe('5');
});

it('follows what comes, changes and goes, however it is cut into pieces', async () => {
  lists = [page('5', [pod('a', '1')])];
  start();
  const first = await stream(0);
  const text = event('ADDED', pod('b', '6')) + event('DELETED', pod('a', '7')) + event('MODIFIED', pod('b', '8'));
  first.write(text.slice(0, 30));
  first.write(text.slice(30));
  await expect.poll(names).toEqual(['b']);
  expect(pods.objects()![0]!.metadata.resourceVersion).toBe('8');
});

it('goes on where the API server ended it, from the last that it heard, bookmarks too', async () => {
  lists = [page('5', [pod('a', '1')])];
  start();
  const first = await stream(0);
  first.write(event('BOOKMARK', { metadata: { resourceVersion: '90' } }));
  first.end();
  const second = await stream(1);
  expect(sinceOf(1)).toBe('90');
  second.write(event('ADDED', pod('b', '91')));
  await expect.poll(names).toEqual(['a', 'b']);
  expect(lists).toEqual([]);
});

it('counts a silent watch as dead, keeps what it knew, and goes on', async () => {
  lists = [page('5', [pod('a', '1')])];
  start(shortMs);
  const first = await stream(0);
  await stream(1);
  expect(first.destroyed).toBe(true);
  // The second one is as silent, and may have been given up too.
  expect(new Set(warned)).toEqual(new Set([`nothing was said for ${shortMs} ms`]));
  expect(names()).toEqual(['a']);
  expect(sinceOf(1)).toBe('5');
});

it.each([
  [
    'said in the watch',
    (first: PassThrough) => first.write(event('ERROR', { code: 410, message: 'too old', metadata: {} })),
  ],
  [
    'said to the next one',
    (first: PassThrough) => {
      refusals = [new KubernetesError(410, 'status 410: too old')];
      first.end();
    },
  ],
])('lists anew what is too old to be gone on from, %s: what went meanwhile is gone', async (_, tell) => {
  lists = [page('5', [pod('a', '1'), pod('b', '2')]), page('200', [pod('b', '2'), pod('c', '150')])];
  start();
  tell(await stream(0));
  await expect.poll(names).toEqual(['b', 'c']);
  await stream(1);
  expect(asked.at(-1)!.parameters).toMatchObject({ resourceVersion: '200' });
});

it('tries again where nobody answers, and says why meanwhile', async () => {
  start();
  await expect.poll(() => pods.fault()).toBe('no answer: nobody there');
  expect(pods.objects()).toBeUndefined();
  lists = [page('5', [pod('a', '1')])];
  await stream(0);
  expect(names()).toEqual(['a']);
  expect(pods.fault()).toBeUndefined();
});

it('ends with its signal', async () => {
  lists = [page('5', [pod('a', '1')])];
  start(shortMs);
  const first = await stream(0);
  stopping.abort();
  await expect.poll(() => first.destroyed).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 2 * shortMs));
  expect(streams).toHaveLength(1);
});

// Waiting that ends with a signal, whatever becomes of what is waited for.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { unlessAborted } from '../../../runtime/attest/unless-aborted.ts';

it('gives what is waited for, or its failure', async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(1), signal)).toBe(1);
  await expect(unlessAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
});

it('ends with the signal, before and while it waits', async () => {
  const never = new Promise<never>(() => undefined);
  await expect(unlessAborted(never, AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
  const controller = new AbortController();
  const waiting = unlessAborted(never, controller.signal);
  controller.abort(new Error('over now'));
  await expect(waiting).rejects.toThrow('over now');
});

it('leaves no failure unheard that comes when nobody waits any more', async () => {
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  await expect(
    unlessAborted(Promise.reject(new Error('too late')), AbortSignal.abort(new Error('over'))),
  ).rejects.toThrow('over');
  await sleep(10);
  process.off('unhandledRejection', hear);
  expect(unheard).toEqual([]);
});

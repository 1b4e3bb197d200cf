// The order in which processes are looked at.
import { expect, it } from 'vitest';
import { createTurns } from '../../../runtime/agent/workload-api/turns.ts';

const never = new AbortController().signal;

/** Acts that end when the test says so. */
function opened() {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const act = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((resolve) => ends.push(resolve));
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const endOne = async () => {
    await settle(); // whose turn has come has begun
    ends.shift()?.();
    await settle();
  };
  return { begun, act, endOne };
}

it('goes round the processes, not through the calls of the first', async () => {
  const turns = createTurns(2);
  const { begun, act, endOne } = opened();
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void turns.take(1, never, act(name));
  void turns.take(2, never, act('b1'));
  await endOne();
  expect(begun).toEqual(['a1', 'a2', 'a3']);
  await endOne();
  expect(begun).toEqual(['a1', 'a2', 'a3', 'b1']);
  await endOne();
  await endOne();
  expect(begun).toEqual(['a1', 'a2', 'a3', 'b1', 'a4', 'a5']);
});

it('passes over a caller that has gone, and over one whose act fails', async () => {
  const turns = createTurns(1);
  const { begun, act, endOne } = opened();
  void turns.take(1, never, act('first'));
  const gone = turns.take(1, AbortSignal.abort(new Error('gone')), act('never'));
  const failing = turns.take(2, never, () => Promise.reject(new Error('no such process')));
  void turns.take(1, never, act('last'));
  await Promise.resolve();
  await Promise.all([
    expect(gone).rejects.toThrow('gone'),
    expect(failing).rejects.toThrow('no such process'),
    endOne(),
  ]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual(['first', 'last']);
});

// How many peers may be shaking hands at once, and who gives way.
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createHandshakes, fairMs } from '../../../runtime/rpc/handshakes.ts';

function setUp(most: number) {
  let now = 0;
  let port = 0;
  return {
    handshakes: createHandshakes({ most, now: () => now }),
    pass: (ms: number) => void (now += ms),
    peer: () =>
      Object.defineProperties(new Socket(), {
        remoteAddress: { value: '127.0.0.1' },
        remotePort: { value: (port += 1) },
      }),
  };
}

test('whoever comes when all room is taken is refused while the others are fresh', () => {
  const { handshakes, pass, peer } = setUp(2);
  const [a, b] = [peer(), peer()];
  expect([handshakes.begin(a), handshakes.begin(b)]).toEqual([true, true]);
  pass(fairMs - 1);
  expect(handshakes.begin(peer())).toBe(false);
  expect([a.destroyed, b.destroyed]).toEqual([false, false]);
});

test('the oldest gives way when it has had its time, and no other', () => {
  const { handshakes, pass, peer } = setUp(2);
  const [a, b, c] = [peer(), peer(), peer()];
  handshakes.begin(a);
  pass(fairMs);
  handshakes.begin(b);
  expect(handshakes.begin(c)).toBe(true);
  expect([a.destroyed, b.destroyed, c.destroyed]).toEqual([true, false, false]);
  expect(handshakes.begin(peer())).toBe(false);
});

test('one that is done makes room, and keeps its connection', () => {
  const { handshakes, pass, peer } = setUp(1);
  const a = peer();
  handshakes.begin(a);
  handshakes.done(a);
  expect(handshakes.begin(peer())).toBe(true);
  pass(fairMs);
  expect(handshakes.begin(peer())).toBe(true);
  expect(a.destroyed).toBe(false);
});

test('one that closes makes room, once', async () => {
  const { handshakes, peer } = setUp(1);
  const a = peer();
  handshakes.begin(a);
  a.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  expect([handshakes.begin(peer()), handshakes.begin(peer())]).toEqual([true, false]);
});

// Every method × every kind of caller × TCP and the Unix socket, against a real server on PostgreSQL.
//
// Cells that cannot exist: on the Unix socket a caller shows no certificate, the kernel names the process, so of all kinds of caller only the local
// one is there; and a certificate that the handshake refuses never gets to a method, which is what its cells assert.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { methodPolicies } from '../../../../../runtime/server/api/method-policy.ts';
import { outcomeOf } from './call.ts';
import { callerNames, createMatrixWorld, refusedCallers } from './callers.ts';
import type { MatrixCaller, MatrixWorld } from './callers.ts';
import { expectedOutcome } from './expectation.ts';
import { rpcRows } from './rpcs.ts';

const getBundle = rpcRows.find(({ method }) => method.endsWith('/GetBundle'))!;

let world: MatrixWorld | undefined;
beforeAll(async () => {
  world = await createMatrixWorld();
});
afterAll(() => world?.close());

test('the table has SPIRE’s 65 methods and those of our fleet API, and the server’s policy knows no other', () => {
  expect(rpcRows.filter(({ method }) => !method.startsWith('/espalier.'))).toHaveLength(65);
  expect([...methodPolicies.keys()].sort()).toEqual(rpcRows.map(({ method }) => method).sort());
});

for (const name of callerNames) {
  describe(name, () => {
    let caller: MatrixCaller;
    beforeAll(() => {
      caller = world!.callers[name];
      caller.prepare?.();
    });

    // A connection that is refused has no methods to tell apart: one call stands for its 65 cells.
    if (refusedCallers.includes(name)) {
      test('is refused by the handshake, before a method is read', async () => {
        expect(caller.handshake).toBe('refused');
        const refusals = () => world!.server.lines.filter((line) => line.includes('connection refused')).length;
        const before = refusals();
        const outcome = await outcomeOf(await caller.channel(), getBundle.definition);
        expect(outcome.split(' ')[0]).toBe('UNAVAILABLE');
        expect(refusals()).toBeGreaterThan(before);
      });
      return;
    }

    test.each(rpcRows.map((row) => [row.method, row] as const))('%s', async (_, row) => {
      expect(caller.handshake).toBe('accepted');
      const expected = expectedOutcome(row, caller);
      const outcome = await outcomeOf(await caller.channel(row), row.definition);
      if (expected.endsWith('…')) expect(outcome.startsWith(expected.slice(0, -1)), outcome).toBe(true);
      else expect(outcome).toBe(expected);
    });
  });
}

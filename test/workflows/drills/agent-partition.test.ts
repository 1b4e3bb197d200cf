// Who is counted as falling silent while one agent is cut off: whoever was heard in time when that began, and nobody else.
import { expect, it } from 'vitest';
import type { DrillLook } from '../../../activities/drills/drill.ts';
import { keepsReporting } from '../../../workflows/drills/agent-partition.ts';

const ttl = { root: '2h', x509Svid: '1m', jwtSvid: '1m' };
const cutOff = 'spiffe://example.org/spire/agent/cut-off';
const other = 'spiffe://example.org/spire/agent/other';
const second = (seconds: number): string => new Date(Date.UTC(2026, 10, 27, 12) + seconds * 1_000).toISOString();

function look(at: string, ...silent: readonly { id: string; heardAt: string }[]): DrillLook {
  const agents = { total: 9, silentCount: silent.length, silent: silent.map((one) => ({ ...one, version: '1.0.0' })) };
  return { at, tiers: [{ tier: 'aws', agents }] } as unknown as DrillLook;
}

it('says that another agent fell silent that was heard in time when the cut was made', () => {
  const { works } = keepsReporting(cutOff, ttl);
  expect(works(look(second(0)))).toEqual({ works: true });
  const heardAt = second(-7);
  expect(works(look(second(20), { id: cutOff, heardAt }))).toEqual({ works: true });
  expect(works(look(second(20), { id: other, heardAt }))).toEqual({ works: false, said: other });
  expect(works(look(second(40), { id: other, heardAt: second(10) }))).toEqual({ works: false, said: other });
});

it('does not count one that was late already', () => {
  const { works } = keepsReporting(cutOff, ttl);
  expect(works(look(second(0)))).toEqual({ works: true });
  expect(works(look(second(5), { id: other, heardAt: second(-18) }))).toEqual({ works: true });
});

// What runbooks make of what a tier says: silence, ends, and what the silent ones have in common.
import { describe, expect, it } from 'vitest';
import { HolderKind, Holding, Proof } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { commonCauses } from '../../../activities/runbooks/common-causes.ts';
import { lookAtHolders } from '../../../activities/runbooks/look-at-tiers.ts';

const now = Date.parse('2026-11-26T12:00:00Z');
const agent = (over: Partial<Holding> = {}): Holding =>
  Holding.create({
    kind: HolderKind.AGENT,
    id: 'spiffe://example.org/spire/agent/aws_iid/1234/us-east-1/i-1',
    version: '0.1.0',
    reportedAtMs: now - 5_000,
    proof: Proof.PROOF_SHOWN,
    ...over,
  });
const many = (count: number, over: Partial<Holding>): Holding[] => Array.from({ length: count }, () => agent(over));

describe('holders', () => {
  it('are silent, behind, or neither; who never reported is neither', () => {
    const own = (seconds: number) => ({
      x509AuthorityIds: [],
      count: 1,
      earliestNotAfter: now / 1000 + seconds,
      latestNotAfter: now / 1000 + seconds,
    });
    const holdings = [
      agent({ own: own(600) }),
      agent({ own: own(-5) }),
      agent({ id: 'spiffe://example.org/spire/agent/x', silent: true, own: own(300), proof: Proof.PROOF_NONE }),
      agent({ proof: Proof.PROOF_NONE }),
      agent({ reportedAtMs: 0, proof: Proof.PROOF_NONE }),
    ];
    expect(lookAtHolders(holdings, now)).toEqual({
      total: 5,
      silentCount: 1,
      silent: [
        {
          id: 'spiffe://example.org/spire/agent/x',
          version: '0.1.0',
          heardAt: '2026-11-26T11:59:55.000Z',
          endsAt: '2026-11-26T12:05:00.000Z',
        },
      ],
      behindCount: 1,
      common: [],
      firstEnd: '2026-11-26T12:05:00.000Z',
    });
  });

  it('that are many are counted, and the first named', () => {
    const look = lookAtHolders(many(1_000, { silent: true }), now);
    expect([look.silentCount, look.silent.length, look.firstEnd]).toEqual([1_000, 20, undefined]);
  });
});

describe('what silent holders have in common', () => {
  const healthy = many(20, {});
  it.each([
    ['a version', { version: '0.2.0' }, 'version 0.2.0: 9 of the 9 silent ones, and 0 others'],
    [
      'a region',
      { id: 'spiffe://example.org/spire/agent/aws_iid/1234/eu-west-1/i-1' },
      'region eu-west-1: 9 of the 9 silent ones, and 0 others',
    ],
    ['a clock', { clockSkewMs: -60_000 }, 'a clock behind: 9 of the 9 silent ones, and 0 others'],
    ['a time', { reportedAtMs: now - 600_000 }, 'last heard at 2026-11-26T11:50: 9 of the 9 silent ones, and 0 others'],
  ])('%s', (_what, trait, told) => {
    const silent = many(9, { silent: true, ...trait });
    expect(commonCauses([...healthy, ...silent], silent)).toEqual([told]);
  });

  it('is not what everybody has, nor what some of them have, nor said of two', () => {
    const silent = many(9, { silent: true });
    expect(commonCauses([...healthy, ...silent], silent)).toEqual([]);
    const mixed = [...many(5, { silent: true, version: '0.2.0' }), ...many(4, { silent: true })];
    expect(commonCauses([...healthy, ...mixed], mixed)).toEqual([]);
    const two = many(2, { silent: true, version: '0.2.0' });
    expect(commonCauses([...healthy, ...two], two)).toEqual([]);
  });
});

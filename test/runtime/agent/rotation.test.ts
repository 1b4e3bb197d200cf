// When an SVID is renewed.
import { describe, expect, it } from 'vitest';
import { renewalTime } from '../../../runtime/agent/rotation.ts';

const hour = 3_600_000;
const at = (random: number, availabilityTargetMs = 0) => ({ random: () => random, availabilityTargetMs });

describe('renewal', () => {
  it.each([
    ['earliest', 0.999_999, 0.45],
    ['in the middle', 0.5, 0.5],
    ['latest', 0, 0.55],
  ])('comes at half life, %s', (_name, random, part) => {
    expect(renewalTime({ notBefore: 0, notAfter: hour }, at(random)) / hour).toBeCloseTo(part, 4);
  });

  it('comes earlier for an availability target', () => {
    expect(renewalTime({ notBefore: 0, notAfter: 72 * hour }, at(0, 48 * hour))).toBe(24 * hour);
  });

  it('never comes later for an availability target than at half life', () => {
    expect(renewalTime({ notBefore: 0, notAfter: 96 * hour }, at(0.5, 24 * hour))).toBe(48 * hour);
  });

  it('ignores a target that leaves 12 hours or less', () => {
    expect(renewalTime({ notBefore: 0, notAfter: 36 * hour }, at(0.5, 24 * hour))).toBe(18 * hour);
  });
});

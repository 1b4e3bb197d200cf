import { describe, expect, test } from 'vitest';
import {
  activateTime,
  checkAuthorityLifetime,
  checkDownstreamLifetime,
  cutExpiry,
  prepareTime,
} from '../../../../runtime/server/ca/lifetime.ts';
import { authorityConfig, hourMs } from '../../../support/authorities.ts';
import { silentLog } from '../../../support/stores.ts';

const dayMs = 24 * hourMs;
const living = (life: number) => ({ issuedAt: 0, notAfter: life });

test.each([
  ['24 h: at half and at five sixths', dayMs, 12 * hourMs, 20 * hourMs],
  ['a year: 30 and 7 days before the end', 365 * dayMs, 335 * dayMs, 358 * dayMs],
  ['six minutes: at three and at five', 360_000, 180_000, 300_000],
])('a successor is prepared and activated, in a life of %s', (_, life, prepare, activate) => {
  expect([prepareTime(living(life)), activateTime(living(life))]).toEqual([prepare, activate]);
});

describe('an expiry', () => {
  test('is cut to that of the signer', () => {
    expect(cutExpiry(10, 50, living(100))).toBe(60);
    expect(cutExpiry(10, 500, living(100))).toBe(100);
  });

  test('is refused once the signer has expired', () => {
    expect(() => cutExpiry(100, 1, living(100))).toThrow(expect.objectContaining({ code: 'NOT_READY' }) as Error);
  });
});

describe('the TTL lattice', () => {
  const enforced = { ...authorityConfig, ttlLattice: 'enforce' as const };
  const broken = expect.objectContaining({ code: 'TTL_LATTICE' }) as Error;

  test('wants an authority of six SVIDs, where it is enforced', () => {
    expect(() => checkAuthorityLifetime(living(6 * hourMs), enforced, silentLog)).not.toThrow();
    expect(() => checkAuthorityLifetime(living(6 * hourMs - 10_001), enforced, silentLog)).toThrow(broken);
    expect(() => checkAuthorityLifetime(living(6 * hourMs - 10_001), authorityConfig, silentLog)).not.toThrow();
  });

  test('takes nothing amiss that an upstream\u2019s whole seconds and the way from there cost', () => {
    expect(() => checkAuthorityLifetime(living(360_000 - 344), { ...enforced, x509SvidTtl: 60_000 }, silentLog)).not.toThrow(); // prettier-ignore
    expect(() => checkAuthorityLifetime(living(6 * hourMs - 10_000), enforced, silentLog)).not.toThrow();
    expect(() => checkDownstreamLifetime(4 * hourMs, living(dayMs - 10_000), enforced, silentLog)).not.toThrow();
  });

  test('wants an authority of one SVID at least, enforced or not', () => {
    expect(() => checkAuthorityLifetime(living(hourMs), authorityConfig, silentLog)).not.toThrow();
    expect(() => checkAuthorityLifetime(living(hourMs - 1), authorityConfig, silentLog)).toThrow(broken);
  });

  test('wants a sixth for a downstream, where it is enforced', () => {
    expect(() => checkDownstreamLifetime(4 * hourMs, living(dayMs), enforced, silentLog)).not.toThrow();
    expect(() => checkDownstreamLifetime(4 * hourMs + 1, living(dayMs - 10_000), enforced, silentLog)).toThrow(broken);
    expect(() => checkDownstreamLifetime(dayMs, living(dayMs), authorityConfig, silentLog)).not.toThrow();
  });
});

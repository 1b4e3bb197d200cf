// What a report may say: everything beyond its bounds is refused before it is kept.
import { describe, expect, test } from 'vitest';
import { ReportRequest } from '../../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { parseInstance, parseReport } from '../../../../runtime/server/fleet/parse-report.ts';

const held = (count: number) => Array.from({ length: count }, (_, i) => ({ authorityId: `a${i}`, tainted: false }));
const issued = { x509AuthorityIds: ['i', 'r'], count: 2, earliestNotAfter: 10, latestNotAfter: 20 };
const report = (more: Partial<ReportRequest> = {}): ReportRequest =>
  ReportRequest.create({
    version: '1',
    sentAtMs: 5_000,
    x509Authorities: [{ authorityId: 'r', tainted: true }],
    jwtAuthorities: [{ authorityId: 'j', tainted: false }],
    own: { ...issued, count: 1 },
    issued: [issued],
    streams: 3,
    streamsLagging: 1,
    ...more,
  });

test('a report is kept as it came, with the clock’s skew', () => {
  const below = { authorityIds: ['i', 'r'], count: 2, earliestNotAfter: 10, latestNotAfter: 20 };
  expect(parseReport(report(), 4_000)).toEqual({
    version: '1',
    x509: [{ authorityId: 'r', tainted: true }],
    jwt: [{ authorityId: 'j', tainted: false }],
    own: { ...below, count: 1 },
    issued: [below],
    streams: 3,
    streamsLagging: 1,
    clockSkewMs: 1_000,
  });
});

describe('a report is refused', () => {
  test.each<[string, Partial<ReportRequest>]>([
    ['the report does not say when it was sent', { sentAtMs: 0 }],
    ['version has 256 characters, at most 255 are taken', { version: 'v'.repeat(256) }],
    ['version holds a zero byte', { version: '1\0' }],
    ['there are 65 X.509 authorities, at most 64 are taken', { x509Authorities: held(65) }],
    ['there are 65 JWT authorities, at most 64 are taken', { jwtAuthorities: held(65) }],
    ['an X.509 authority is named twice', { x509Authorities: [...held(1), ...held(1)] }],
    ['an authority has no id', { jwtAuthorities: [{ authorityId: '', tainted: false }] }],
    [
      'authority id has 129 characters, at most 128 are taken',
      { x509Authorities: [{ authorityId: 'a'.repeat(129), tainted: false }] },
    ],
    ['there are 65 issuers, at most 64 are taken', { issued: Array.from({ length: 65 }, () => issued) }],
    [
      'there are 17 authorities above a certificate, at most 16 are taken',
      { issued: [{ ...issued, x509AuthorityIds: Array.from({ length: 17 }, String) }] },
    ],
    ['certificates cannot end between 30 and 20', { issued: [{ ...issued, earliestNotAfter: 30 }] }],
    ['certificates cannot end between -1 and 20', { own: { ...issued, earliestNotAfter: -1 } }],
    ['2 of 1 streams cannot be lagging', { streams: 1, streamsLagging: 2 }],
  ])('%s', (message, more) => {
    expect(() => parseReport(report(more), 0)).toThrow(message);
  });

  test('whose instance is too long', () => {
    expect(() => parseInstance('i'.repeat(256))).toThrow('instance has 256 characters, at most 255 are taken');
  });
});

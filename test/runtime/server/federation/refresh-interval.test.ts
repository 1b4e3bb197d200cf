import { expect, test } from 'vitest';
import { issueSelfSignedCa } from '../../../../runtime/pki/issue.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { refreshIntervalMs } from '../../../../runtime/server/federation/refresh-interval.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import { createSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';

const trustDomain = parseTrustDomain('other.test');
const [second, minute, hour] = [1_000, 60_000, 3_600_000];
const rootOf = (lifetimeMs: number) => ({
  asn1: issueSelfSignedCa({
    signer: signerOf(generateKeyPairSync('ec-p256').privateKey),
    subject: {},
    spiffeId: createSpiffeId(trustDomain, ''),
    notBefore: 0,
    notAfter: lifetimeMs,
  }).der,
});

test.each([
  ['no bundle', undefined, minute],
  ['a hint of five minutes', { refreshHintSeconds: 300 }, 75 * second],
  ['a hint below a minute', { refreshHintSeconds: 1 }, 15 * second],
  ['a hint of a year', { refreshHintSeconds: 365 * 86_400 }, 24 * hour],
  ['no hint and no root', {}, 15 * second],
  ['no hint and a root of an hour', { x509Authorities: [rootOf(hour)] }, 90 * second],
  [
    'no hint and roots of ten years and of an hour',
    { x509Authorities: [rootOf(87_600 * hour), rootOf(hour)] },
    90 * second,
  ],
  ['no hint and a root of ten years', { x509Authorities: [rootOf(87_600 * hour)] }, 5 * minute],
  ['a hint before the roots’ lifetimes', { refreshHintSeconds: 120, x509Authorities: [rootOf(hour)] }, 30 * second],
])('%s', (_, bundle, ms) => {
  expect(refreshIntervalMs(bundle && { ...emptyBundle(trustDomain), ...bundle })).toBe(ms);
});

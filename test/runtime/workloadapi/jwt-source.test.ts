import { generateKeyPairSync } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { signJwtSvid } from '../../../runtime/pki/jwt-svid.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { createQueue } from '../../../runtime/rpc/queue.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createJwtSource } from '../../../runtime/workloadapi/jwt-source.ts';
import type { JwtSource, JwtSourceOptions } from '../../../runtime/workloadapi/jwt-source.ts';
import type { JwtSvid } from '../../../runtime/workloadapi/workload-api.ts';

const trustDomain = parseTrustDomain('example.org');
const id = parseSpiffeId('spiffe://example.org/a');
const now = Date.now();

function createKey(keyId: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const token = (audience: string, spiffeId = id) =>
    signJwtSvid({
      signer: signerOf(privateKey),
      keyId,
      spiffeId,
      audience: [audience],
      issuedAt: now,
      expiresAt: now + 300_000,
    });
  return { keyId, publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })), expiresAt: 0, token };
}

const [first, second] = [createKey('first'), createKey('second')];

function bundlesOf(...jwtAuthorities: readonly TrustBundle['jwtAuthorities'][number][]) {
  return new Map([[trustDomain.name, { ...emptyBundle(trustDomain), jwtAuthorities }]]);
}

/** Tells what the test pushes, and hands out what it was given. */
async function open(
  svids: JwtSvid[] = [],
): Promise<{ source: JwtSource; push: (bundles: Map<string, TrustBundle>) => void }> {
  const updates = createQueue<Map<string, TrustBundle>>();
  updates.push(bundlesOf(first));
  const api: JwtSourceOptions['api'] = {
    fetchJwtBundles: () => updates,
    fetchJwtSvid: () => Promise.resolve(svids),
  };
  const source = await createJwtSource({ api, clock: () => now });
  onTestFinished(() => source.close());
  return { source, push: (bundles) => updates.push(bundles) };
}

function refusalOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

test('a token for us is verified without a call', async () => {
  const { source } = await open();
  expect(source.validate({ token: first.token('us'), audience: 'us' })).toMatchObject({ id, audience: ['us'] });
});

const refusedTokens: readonly (readonly [string, () => string, string])[] = [
  ['of another audience', () => first.token('them'), 'TOKEN_AUDIENCE'],
  ['by a key that is not in the bundle', () => second.token('us'), 'TOKEN_UNKNOWN_KEY'],
  ['that is none', () => 'a.b.c', 'TOKEN_FORMAT'],
  [
    'of a trust domain that we do not know',
    () => first.token('us', parseSpiffeId('spiffe://foreign.test/a')),
    'NO_BUNDLE',
  ],
];

test.for(refusedTokens)('a token %s is refused', async ([, token, code]) => {
  const { source } = await open();
  expect(refusalOf(() => source.validate({ token: token(), audience: 'us' }))).toMatchObject({ code });
});

test('a rotation of the keys is followed', async () => {
  const { source, push } = await open();
  const updated = new Promise<void>((resolve) => source.onUpdate(() => resolve()));
  push(bundlesOf(second));
  await updated;
  expect(source.validate({ token: second.token('us'), audience: 'us' }).id.equals(id)).toBe(true);
  expect(() => source.validate({ token: first.token('us'), audience: 'us' })).toThrow('has no JWT authority "first"');
});

test('a token for others comes from the agent', async () => {
  const svid = { id, token: 'for them', hint: '' };
  const { source } = await open([svid]);
  expect(await source.fetch({ audience: ['them'] })).toEqual([svid]);
});

test('an agent that hands out no token is an error', async () => {
  const { source } = await open();
  await expect(source.fetch({ audience: ['them', 'others'] })).rejects.toMatchObject({
    code: 'NO_SVID',
    message: 'no JWT-SVID for the audience them, others',
  });
});

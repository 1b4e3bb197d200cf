// Project Wycheproof's signature vectors: every algorithm of certificates and tokens that we verify, against every forgery that it knows.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { PkiError } from '../../runtime/pki/errors.ts';
import { verifyCompactJws } from '../../runtime/pki/jws.ts';
import type { JwsAlgorithm } from '../../runtime/pki/jws.ts';
import { parsePublicKey } from '../../runtime/pki/public-key.ts';
import { verifySignature } from '../../runtime/pki/signature-algorithm.ts';
import type { SignatureAlgorithm } from '../../runtime/pki/signature-algorithm.ts';
import { output } from './support/processes.ts';
import { root } from './support/programs.ts';

interface Vector {
  readonly tcId: number;
  readonly msg: string;
  readonly sig: string;
  readonly result: 'valid' | 'invalid' | 'acceptable';
  readonly comment: string;
}

interface Group {
  readonly publicKeyDer: string;
  readonly tests: readonly Vector[];
}

let data: string;
beforeAll(async () => {
  const manifest = join(root, 'test/peers/rust/Cargo.toml');
  const text = await output('cargo', ['metadata', '--locked', '--format-version', '1', '--manifest-path', manifest], {
    timeoutMs: 300_000,
  });
  const { packages } = JSON.parse(text) as { packages: { name: string; manifest_path: string }[] };
  data = join(dirname(packages.find(({ name }) => name === 'wycheproof')!.manifest_path), 'src/data');
});

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

type Verify = (key: ReturnType<typeof parsePublicKey>, message: Uint8Array, signature: Uint8Array) => boolean;

const certificate =
  (algorithm: SignatureAlgorithm): Verify =>
  (key, message, signature) =>
    verifySignature(algorithm, key, message, signature);

/** As the bytes before a token's last dot; what is no text is passed as Latin-1, which is how it is read back. */
const token =
  (algorithm: JwsAlgorithm): Verify =>
  (key, message, signature) => {
    const signingInput = Buffer.from(message).toString('latin1');
    return verifyCompactJws({ header: {}, payload: {}, signingInput, signature }, algorithm, key);
  };

const rsa = (bits: readonly number[], digest: 'sha256' | 'sha384' | 'sha512'): [string, Verify][] =>
  bits.map((size) => [`rsa_signature_${size}_${digest}`, certificate(`rsa-${digest}`)]);

const files: readonly [string, Verify][] = [
  ['ecdsa_secp256r1_sha256', certificate('ecdsa-sha256')],
  ['ecdsa_secp256r1_sha512', certificate('ecdsa-sha512')],
  ['ecdsa_secp384r1_sha256', certificate('ecdsa-sha256')],
  ['ecdsa_secp384r1_sha384', certificate('ecdsa-sha384')],
  ['ecdsa_secp384r1_sha512', certificate('ecdsa-sha512')],
  ['ecdsa_secp521r1_sha512', certificate('ecdsa-sha512')],
  ...rsa([2048, 3072, 4096, 8192], 'sha256'),
  ...rsa([2048, 3072, 4096, 8192], 'sha384'),
  ...rsa([2048, 3072, 4096, 8192], 'sha512'),
  ['rsa_pss_2048_sha256_mgf1_32', certificate('rsa-pss-sha256')],
  ['rsa_pss_3072_sha256_mgf1_32', certificate('rsa-pss-sha256')],
  ['rsa_pss_4096_sha256_mgf1_32', certificate('rsa-pss-sha256')],
  ['rsa_pss_2048_sha384_mgf1_48', certificate('rsa-pss-sha384')],
  ['rsa_pss_4096_sha384_mgf1_48', certificate('rsa-pss-sha384')],
  ['rsa_pss_4096_sha512_mgf1_64', certificate('rsa-pss-sha512')],
  ['ed25519', certificate('ed25519')],
  ['ecdsa_secp256r1_sha256_p1363', token('ES256')],
  ['ecdsa_secp384r1_sha384_p1363', token('ES384')],
  ['ecdsa_secp521r1_sha512_p1363', token('ES512')],
  ['rsa_signature_2048_sha256', token('RS256')],
  ['rsa_pss_2048_sha256_mgf1_32', token('PS256')],
];

/** Good signatures of RSA keys with the exponent 3, which we refuse before any signature is looked at (spire-rules §3.3). */
const refusedKeys: Readonly<Record<string, number>> = {
  rsa_signature_2048_sha256: 2,
  rsa_signature_2048_sha512: 1,
  rsa_signature_3072_sha256: 1,
  rsa_signature_3072_sha512: 1,
};

describe.each(files)('%s', (name, verify) => {
  test('every vector has the verdict that it must have', () => {
    const { testGroups } = JSON.parse(readFileSync(join(data, `${name}_test.json`), 'utf8')) as { testGroups: Group[] };
    const wrong: string[] = [];
    let [judged, keysRefused] = [0, 0];
    for (const { publicKeyDer, tests } of testGroups) {
      for (const { tcId, msg, sig, result, comment } of tests) {
        judged += 1;
        const verdict = judge(() => verify(parsePublicKey(hex(publicKeyDer)), hex(msg), hex(sig)));
        if (verdict === 'key refused' && result === 'valid') keysRefused += 1;
        if (verdict === 'accepted' && result === 'invalid') wrong.push(`${tcId} accepted: ${comment}`);
        if (verdict === 'refused' && result === 'valid') wrong.push(`${tcId} refused: ${comment}`);
      }
    }
    expect(judged).toBeGreaterThan(50);
    expect(wrong).toEqual([]);
    expect(keysRefused).toBe(refusedKeys[name] ?? 0);
  });
});

function judge(act: () => boolean): 'accepted' | 'refused' | 'key refused' {
  try {
    return act() ? 'accepted' : 'refused';
  } catch (error) {
    if (error instanceof PkiError) return 'key refused';
    throw error;
  }
}

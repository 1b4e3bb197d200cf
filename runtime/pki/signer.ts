// A private key that may live elsewhere: whoever holds a signer can have bytes signed, and nothing more.
import { createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { refuse } from './errors.ts';
import { schemeOf } from './signature-algorithm.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';

export interface Signer {
  readonly publicKey: KeyObject;
  readonly algorithm: SignatureAlgorithm;
  /** ECDSA signatures are DER, RSA ones PKCS #1 v1.5. */
  sign(data: Uint8Array): Uint8Array;
}

const byCurve = new Map<string, SignatureAlgorithm>([
  ['prime256v1', 'ecdsa-sha256'],
  ['secp384r1', 'ecdsa-sha384'],
  ['secp521r1', 'ecdsa-sha512'],
]);

export function signerOf(privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey);
  const algorithm = signatureAlgorithmFor(publicKey);
  const { digest } = schemeOf(algorithm);
  return {
    publicKey,
    algorithm,
    sign: (data) => {
      const signature = sign(digest, data, privateKey);
      return new Uint8Array(signature.buffer, signature.byteOffset, signature.length);
    },
  };
}

/** What a key of ours signs with: the hash that fits its curve, SHA-256 for RSA. */
export function signatureAlgorithmFor(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'rsa') return 'rsa-sha256';
  const algorithm = byCurve.get(key.asymmetricKeyDetails?.namedCurve ?? '');
  if (algorithm === undefined) throw refuse('KEY_TYPE', `no signature algorithm for a key of type ${describeKey(key)}`);
  return algorithm;
}

function describeKey(key: KeyObject): string {
  return [key.asymmetricKeyType, key.asymmetricKeyDetails?.namedCurve].filter((part) => part !== undefined).join(' ');
}

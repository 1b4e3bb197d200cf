// The kinds of key that servers and agents make, by the names that SPIRE's configuration uses.
import { generateKeyPair as generate, generateKeyPairSync as generateSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { refuse } from './errors.ts';

export const keyTypes = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'] as const;

export type KeyType = (typeof keyTypes)[number];

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const curves = { 'ec-p256': 'P-256', 'ec-p384': 'P-384' } as const;
const moduli = { 'rsa-2048': 2048, 'rsa-4096': 4096 } as const;

const generateLater = promisify(generate);

export function parseKeyType(text: string): KeyType {
  const found = keyTypes.find((type) => type === text);
  if (found === undefined)
    throw refuse('KEY_TYPE', `key type "${text}" is unknown, want one of ${keyTypes.join(', ')}`);
  return found;
}

/** Off the event loop: an RSA key takes hundreds of milliseconds. */
export function generateKeyPair(type: KeyType): Promise<KeyPair> {
  if (type === 'ec-p256' || type === 'ec-p384') return generateLater('ec', { namedCurve: curves[type] });
  return generateLater('rsa', { modulusLength: moduli[type] });
}

export function generateKeyPairSync(type: KeyType): KeyPair {
  if (type === 'ec-p256' || type === 'ec-p384') return generateSync('ec', { namedCurve: curves[type] });
  return generateSync('rsa', { modulusLength: moduli[type] });
}

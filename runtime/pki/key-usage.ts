// The key usage extension (RFC 5280 §4.2.1.3): what a key may be used for.
import { decodeNamedBits, readWhole } from './der/reader.ts';
import { tags } from './der/tags.ts';
import { namedBits } from './der/writer.ts';
import { refuse } from './errors.ts';

/** In the order of their bits. */
export const keyUsageNames = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'certSign',
  'crlSign',
  'encipherOnly',
  'decipherOnly',
] as const;

export type KeyUsageName = (typeof keyUsageNames)[number];

export type KeyUsage = { readonly [name in KeyUsageName]: boolean } & {
  /** Without the extension nothing is forbidden (RFC 5280), though every use above reads false. */
  readonly present: boolean;
  readonly critical: boolean;
};

export const noKeyUsage: KeyUsage = keyUsageOf([], { present: false, critical: false });

export function parseKeyUsage(der: Uint8Array, critical: boolean): KeyUsage {
  const bits = readWhole(der, (reader) => decodeNamedBits(reader.content(tags.bitString)));
  if (!bits.includes(true)) throw refuse('CERTIFICATE', 'key usage allows nothing');
  return keyUsageOf(bits, { present: true, critical });
}

export function encodeKeyUsage(uses: readonly KeyUsageName[]): Uint8Array {
  return namedBits(keyUsageNames.map((name) => uses.includes(name)));
}

function keyUsageOf(bits: readonly boolean[], presence: { present: boolean; critical: boolean }): KeyUsage {
  const [
    digitalSignature = false,
    contentCommitment = false,
    keyEncipherment = false,
    dataEncipherment = false,
    keyAgreement = false,
    certSign = false,
    crlSign = false,
    encipherOnly = false,
    decipherOnly = false,
  ] = bits;
  return {
    digitalSignature,
    contentCommitment,
    keyEncipherment,
    dataEncipherment,
    keyAgreement,
    certSign,
    crlSign,
    encipherOnly,
    decipherOnly,
    ...presence,
  };
}

// What an attested certificate says about its node: its subject, serial number and authorities, and what its x509pop URIs carry.
import type { Certificate } from '../../pki/certificate.ts';
import { decodeName } from '../../pki/distinguished-name.ts';
import { fingerprint } from './possession.ts';

/** Selector values without their type; `chain` is leaf to root. */
export function selectorValues(
  chain: readonly Certificate[],
  uriSelectors: Readonly<Record<string, string>>,
): string[] {
  const [leaf, ...authorities] = chain;
  if (leaf === undefined) return [];
  const commonName = commonNameOf(leaf.subject);
  return [
    ...(commonName === '' ? [] : [`subject:cn:${commonName}`]),
    ...authorities.map(({ der }) => `ca:fingerprint:${fingerprint(der)}`),
    `serialnumber:${serialNumberHex(leaf.serialNumber)}`,
    ...Object.entries(uriSelectors).map(([key, value]) => `san:${key}:${value}`),
  ];
}

/** Of `x509pop://<trust domain>/<key>/<value…>`; other URIs say nothing here. A URI that needs decoding is left out: never decoded. */
export function uriSelectorsOf(uris: readonly string[], trustDomain: string): Record<string, string> {
  const prefix = `x509pop://${trustDomain}/`;
  const found = uris.flatMap((uri): [string, string][] => {
    const path = uri.startsWith(prefix) ? uri.slice(prefix.length).replace(/^\/+|\/+$/g, '') : '';
    const [, key, value] = /^([^/?#%]+)\/([^?#%]+)$/.exec(path) ?? [];
    return key === undefined || value === undefined ? [] : [[key, value]];
  });
  return Object.fromEntries(found);
}

/** Lowercase, an even number of digits, no sign byte. */
export function serialNumberHex(serialNumber: Uint8Array): string {
  const first = serialNumber.findIndex((byte) => byte !== 0);
  return first === -1 ? '00' : Buffer.from(serialNumber.subarray(first)).toString('hex');
}

/** The last common name, as in Go; empty where there is none. */
export function commonNameOf(name: Uint8Array): string {
  const { commonName } = decodeName(name);
  return [commonName ?? ''].flat().at(-1) ?? '';
}

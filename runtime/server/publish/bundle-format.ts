// The forms in which a bundle is published: `spiffe` (the standard's document), `jwks` (the same keys, without what is SPIFFE's own), `pem` (X.509 alone).
import { certificatesToPem } from '../../pki/pem.ts';
import { encodeSpiffeBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';

export const bundleFormats = ['spiffe', 'jwks', 'pem'] as const;
export type BundleFormat = (typeof bundleFormats)[number];

export function formatBundle(bundle: TrustBundle, format: BundleFormat): string {
  if (format === 'spiffe') return encodeSpiffeBundle(bundle);
  if (format === 'pem') return certificatesToPem(bundle.x509Authorities.map(({ asn1 }) => asn1));
  const { keys } = JSON.parse(encodeSpiffeBundle(bundle)) as { keys: object[] };
  const plain = keys.map((key) => Object.fromEntries(Object.entries(key).filter(([field]) => field !== 'use')));
  return JSON.stringify({ keys: plain }, undefined, 4);
}

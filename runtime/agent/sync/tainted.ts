// Which chains hang on an X.509 authority that the server declared tainted: their SVIDs are replaced at once, long before they end.
import { parseCertificate } from '../../pki/certificate.ts';
import { verifyChain } from '../../pki/verify-chain.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';

/** DER of the bundle's tainted authorities. */
export function taintedAuthorities(bundle: TrustBundle): Uint8Array[] {
  return bundle.x509Authorities.filter(({ tainted }) => tainted === true).map(({ asn1 }) => asn1);
}

export function hangsOn(chain: readonly Uint8Array[], authorities: readonly Uint8Array[], now: number): boolean {
  const [leaf, ...intermediates] = chain.map((der) => parseCertificate(der));
  if (leaf === undefined || authorities.length === 0) return false;
  try {
    verifyChain({ leaf, intermediates, roots: authorities.map((der) => parseCertificate(der)), now });
    return true;
  } catch {
    return false; // it leads to another authority, which is what was asked
  }
}

// Which authorities the server no longer stands by, and which chains hang on them: their SVIDs are replaced at once, long before they end.
import { parseCertificate } from '../../pki/certificate.ts';
import { verifyChain } from '../../pki/verify-chain.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';

export interface Distrusted {
  /** DER. */
  readonly x509: readonly Uint8Array[];
  readonly jwtKeyIds: ReadonlySet<string>;
}

/** What is marked, and what is gone since: an authority that is revoked soon after its taint is never seen with its mark. */
export function distrustedIn(bundle: TrustBundle, before: TrustBundle | undefined): Distrusted {
  const held = new Set(bundle.x509Authorities.map(({ asn1 }) => keyOf(asn1)));
  const heldKeyIds = new Set(bundle.jwtAuthorities.map(({ keyId }) => keyId));
  return {
    x509: [
      ...bundle.x509Authorities.filter(({ tainted }) => tainted === true),
      ...(before?.x509Authorities.filter(({ asn1 }) => !held.has(keyOf(asn1))) ?? []),
    ].map(({ asn1 }) => asn1),
    jwtKeyIds: new Set(
      [
        ...bundle.jwtAuthorities.filter(({ tainted }) => tainted === true),
        ...(before?.jwtAuthorities.filter(({ keyId }) => !heldKeyIds.has(keyId)) ?? []),
      ].map(({ keyId }) => keyId),
    ),
  };
}

export function keyOf(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
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

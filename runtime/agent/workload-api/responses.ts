// What the Workload API answers, made from what the cache holds.
import { createPublicKey } from 'node:crypto';
import type {
  JWTBundlesResponse,
  X509BundlesResponse,
  X509SVIDResponse,
} from '../../../proto/gen/spiffe/workload/workload.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { WorkloadUpdate } from '../cache/svid-cache.ts';
import { withUniqueHints } from './hints.ts';

export function x509SvidResponse(update: WorkloadUpdate): X509SVIDResponse {
  const bundle = x509Authorities(update.bundle);
  const svids = withUniqueHints(update.identities, ({ entry }) => entry).map(({ entry, svid }) => ({
    spiffeId: svid.spiffeId.toString(),
    x509Svid: Buffer.concat(svid.chain),
    x509SvidKey: svid.privateKey,
    bundle,
    hint: entry.hint,
  }));
  return { svids, crl: [], federatedBundles: byTrustDomain(update.federatedBundles, x509Authorities) };
}

export function x509BundlesResponse(update: WorkloadUpdate): X509BundlesResponse {
  return { crl: [], bundles: byTrustDomain([update.bundle, ...update.federatedBundles], x509Authorities) };
}

export function jwtBundlesResponse(update: WorkloadUpdate): JWTBundlesResponse {
  return { bundles: byTrustDomain([update.bundle, ...update.federatedBundles], jwtAuthorities) };
}

/** By trust domain ID. */
export function byTrustDomain(bundles: readonly TrustBundle[], encode: (bundle: TrustBundle) => Uint8Array) {
  return Object.fromEntries(bundles.map((bundle) => [bundle.trustDomain.idString(), encode(bundle)]));
}

/** Concatenated DER. */
export function x509Authorities(bundle: TrustBundle): Uint8Array {
  return Buffer.concat(bundle.x509Authorities.map(({ asn1 }) => asn1));
}

/** A plain JWK set (RFC 7517 §5): without SPIFFE's own parameters, as JWT libraries expect it. */
export function jwtAuthorities(bundle: TrustBundle): Uint8Array {
  const keys = bundle.jwtAuthorities.map(({ keyId, publicKey }) => ({
    ...createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }).export({ format: 'jwk' }),
    kid: keyId,
  }));
  return Buffer.from(JSON.stringify({ keys }));
}

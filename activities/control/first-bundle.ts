// The first bundle: nothing can be verified before it, so what a server answers counts only if the cloud's own console says the same.
import { createHash } from 'node:crypto';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { fetchUnverifiedBundle } from '../clients/spire-server.ts';
import { failure } from '../failures.ts';
import type { ServerAddress } from '../inputs.ts';

/** Returns the authorities as PEM. Every one of them must be attested by a console: one that is not may be an attacker's. */
export async function verifyFirstBundle(server: ServerAddress, digests: readonly string[]): Promise<string> {
  const bundle = await fetchUnverifiedBundle(server);
  if (bundle.trustDomain !== server.trustDomain) {
    throw failure(
      'TrustViolation',
      `server ${server.address} has the bundle of ${JSON.stringify(bundle.trustDomain)}, want ${server.trustDomain}`,
    );
  }
  const authorities = bundle.x509Authorities.map(({ asn1 }) => asn1);
  if (authorities.length === 0)
    throw failure('NotReady', `bundle of server ${server.address} has no X.509 authority yet`);
  for (const authority of authorities) {
    const digest = createHash('sha256').update(authority).digest('hex');
    if (!digests.includes(digest)) {
      throw failure(
        'TrustViolation',
        `authority ${digest} in the bundle of server ${server.address} is on no upstream's console`,
      );
    }
  }
  return certificatesToPem(authorities);
}

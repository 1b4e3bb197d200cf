// What the servers of the tiers hold and sign, as whoever depends on them sees it.
import { setTimeout as delay } from 'node:timers/promises';
import type { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { verifyJwtSvid } from '../../../runtime/pki/jwt-svid.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { verifyX509Svid } from '../../../runtime/pki/x509-svid.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import type { TierServer } from './tier-server.ts';

/** A downstream's key reaches the root by a call, the root's authorities the leaf by push or by its poll. */
export const spreadPatienceMs = 30_000;
const trustDomain = parseTrustDomain('example.org');
const seenSerials = new Set<string>();

export type Kind = 'x509' | 'jwt';

export async function bundleOf({ bundle }: TierServer): Promise<Bundle> {
  return bundle.getBundle({ outputMask: undefined });
}

export function idsOf({ x509Authorities, jwtAuthorities }: Bundle, kind: Kind): string[] {
  return kind === 'jwt' ? jwtAuthorities.map(({ keyId }) => keyId) : x509Authorities.map(({ asn1 }) => keyIdOf(asn1));
}

export function keyIdOf(der: Uint8Array): string {
  return Buffer.from(parseCertificate(der).subjectKeyId ?? []).toString('hex');
}

/** What the server signs is accepted by whoever holds its own bundle, at once; and soon, when a change has come down, by whoever holds the root's. */
export async function checkSigning(server: TierServer, root: TierServer): Promise<void> {
  await checkSigned(server, await bundleOf(server));
  await eventually(`the root's bundle vouches for ${server.name}`, spreadPatienceMs, async () =>
    checkSigned(server, await bundleOf(root)),
  );
}

/** No serial number comes twice. */
async function checkSigned(server: TierServer, { x509Authorities, jwtAuthorities }: Bundle): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec-p256');
  const csr = createCsr({ signer: signerOf(privateKey), spiffeId: parseSpiffeId('spiffe://example.org/checked') });
  const { svid } = await server.svid.mintX509Svid({ csr, ttl: 60 });
  const chain = svid!.certChain;
  const serial = Buffer.from(parseCertificate(chain[0]!).serialNumber).toString('hex');
  if (seenSerials.has(serial)) throw new Error(`serial number ${serial} was given twice`);
  seenSerials.add(serial);
  verifyX509Svid({ chain, roots: x509Authorities.map(({ asn1 }) => asn1), now: Date.now(), trustDomain });

  const id = { trustDomain: 'example.org', path: '/checked' };
  const { svid: jwt } = await server.svid.mintJwtsvid({ id, audience: ['us'], ttl: 60 });
  const keys = jwtAuthorities.map(({ keyId, publicKey, expiresAt }) => ({ keyId, publicKey, expiresAt }));
  const bundle = { ...emptyBundle(trustDomain), jwtAuthorities: keys };
  verifyJwtSvid({ token: jwt!.token, bundle, audience: ['us'], now: Date.now() });
}

export async function eventually(what: string, patienceMs: number, attempt: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      if (Date.now() > deadline)
        throw new Error(`${what}: not within ${patienceMs} ms: ${(cause as Error).message}`, { cause });
      await delay(100);
    }
  }
}

// A trust domain's authorities for tests: roots that can be added, tainted and dropped, and what they sign. Keys are made anew for each.
import { randomUUID } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Bundle } from '../../proto/gen/spire/api/types/bundle.ts';
import { issueSelfSignedCa, issueX509Svid } from '../../runtime/pki/issue.ts';
import type { Issuer } from '../../runtime/pki/issue.ts';
import { parseCompactJws, signCompactJws } from '../../runtime/pki/jws.ts';
import { signJwtSvid } from '../../runtime/pki/jwt-svid.ts';
import { generateKeyPairSync } from '../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { signerOf } from '../../runtime/pki/signer.ts';
import type { TlsCredentials } from '../../runtime/rpc/tls-credentials.ts';
import { createSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../runtime/spiffe/trust-domain.ts';

interface Root extends Issuer {
  tainted: boolean;
}

export interface FakeAuthorityOptions {
  /** Milliseconds. */
  readonly rootTtl?: number;
  /** Roots of the same number have the same name. */
  readonly serialNumber?: Uint8Array;
}

export function createFakeAuthority(trustDomain: TrustDomain, options: FakeAuthorityOptions = {}) {
  const { rootTtl = 86_400_000, ...named } = options;
  const makeRoot = (): Root => {
    const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
    const now = Date.now();
    const certificate = issueSelfSignedCa({
      signer,
      subject: { country: 'US', organization: 'SPIFFE' },
      spiffeId: createSpiffeId(trustDomain, ''),
      ...named,
      notBefore: now - 60_000,
      notAfter: now + rootTtl,
    });
    return { certificate, signer, tainted: false };
  };
  const jwtKey = generateKeyPairSync('ec-p256');
  const keyId = randomUUID();
  let roots = [makeRoot()];
  let sequence = 1;

  const issue = ({ publicKey, spiffeId, ttl }: { publicKey: KeyObject; spiffeId: SpiffeId; ttl: number }) => {
    const issuer = roots.at(-1)!;
    const notAfter = Math.min(Date.now() + ttl, issuer.certificate.notAfter);
    const certificate = issueX509Svid({ issuer, publicKey, spiffeId, notBefore: Date.now() - 10_000, notAfter });
    return { certChain: [certificate.der], expiresAt: Math.floor(notAfter / 1000) };
  };

  return {
    /** By the newest root. */
    issue,
    roots: (): Uint8Array[] => roots.map(({ certificate }) => certificate.der),
    addRoot(): void {
      roots.push(makeRoot());
      sequence += 1;
    },
    taintAllButNewest(): void {
      for (const root of roots.slice(0, -1)) root.tainted = true;
      sequence += 1;
    },
    dropAllButNewest(): void {
      roots = roots.slice(-1);
      sequence += 1;
    },
    bundle: (): Bundle => ({
      trustDomain: trustDomain.name,
      x509Authorities: roots.map(({ certificate, tainted }) => ({ asn1: certificate.der, tainted })),
      jwtAuthorities: [
        { keyId, publicKey: jwtKey.publicKey.export({ format: 'der', type: 'spki' }), expiresAt: 0, tainted: false },
      ],
      refreshHint: 60,
      sequenceNumber: sequence,
      witAuthorities: [],
    }),
    /** With `changes` it signs claims that no authority should: undefined takes one away. */
    signJwt(
      spiffeId: SpiffeId,
      audience: readonly string[],
      ttl = 300_000,
      changes?: Readonly<Record<string, unknown>>,
    ) {
      const issuedAt = Date.now();
      const input = {
        signer: signerOf(jwtKey.privateKey),
        keyId,
        spiffeId,
        audience,
        issuedAt,
        expiresAt: issuedAt + ttl,
      };
      const honest = signJwtSvid({ ...input, jti: randomUUID() });
      const token =
        changes === undefined
          ? honest
          : signCompactJws(
              input.signer,
              { kid: keyId, typ: 'JWT' },
              { ...parseCompactJws(honest).payload, ...changes },
            );
      const expiresAt = Math.floor(input.expiresAt / 1000);
      return { token, id: undefined, issuedAt: Math.floor(issuedAt / 1000), expiresAt, hint: '' };
    },
    serverCredentials(spiffeId: SpiffeId): TlsCredentials {
      const { publicKey, privateKey } = generateKeyPairSync('ec-p256');
      const { certChain } = issue({ publicKey, spiffeId, ttl: 3_600_000 });
      return { certificateChainPem: certificatesToPem(certChain), privateKey };
    },
  };
}

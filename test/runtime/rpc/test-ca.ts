// A certificate authority for tests: one trust domain, one root and what is downstream of it, P-256 throughout.
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Certificate } from '../../../runtime/pki/certificate.ts';
import { issueDownstreamCa, issueSelfSignedCa, issueX509Svid } from '../../../runtime/pki/issue.ts';
import type { Issuer } from '../../../runtime/pki/issue.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import type { TlsCredentials } from '../../../runtime/rpc/tls-credentials.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import type { TrustDomain } from '../../../runtime/spiffe/trust-domain.ts';

export interface TestSvid extends TlsCredentials {
  readonly id: SpiffeId;
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

export interface TestCa {
  readonly trustDomain: TrustDomain;
  readonly root: Certificate;
  readonly roots: () => Uint8Array[];
  /** Valid for an hour, or as long as said: a negative time is over already. */
  issue(path: string, lifetimeMs?: number): TestSvid;
  /** An intermediate CA under this one: its SVIDs carry its certificate after their own. */
  downstream(): TestCa;
}

const hour = 3_600_000;
const validity = () => ({ notBefore: Date.now() - 2 * hour, notAfter: Date.now() + 24 * hour });

export function createTestCa(name: string): TestCa {
  const trustDomain = parseTrustDomain(name);
  const signer = signerOf(newKeys().privateKey);
  const subject = { country: 'US', organization: name };
  const root = issueSelfSignedCa({ signer, subject, spiffeId: createSpiffeId(trustDomain, ''), ...validity() });
  return testCa(root, trustDomain, [], { certificate: root, signer });
}

function testCa(
  root: Certificate,
  trustDomain: TrustDomain,
  intermediates: readonly Certificate[],
  issuer: Issuer,
): TestCa {
  return {
    trustDomain,
    root,
    roots: () => [root.der],
    issue(path, lifetimeMs = hour) {
      const { publicKey, privateKey } = newKeys();
      const id = createSpiffeId(trustDomain, path);
      const notAfter = Date.now() + lifetimeMs;
      const notBefore = Math.min(Date.now(), notAfter) - hour / 2;
      const certificate = issueX509Svid({ issuer, publicKey, spiffeId: id, notBefore, notAfter });
      const chain = [certificate, ...intermediates].map(({ der }) => der);
      return { id, certificate, privateKey, certificateChainPem: certificatesToPem(chain) };
    },
    downstream() {
      const { publicKey, privateKey } = newKeys();
      const spiffeId = createSpiffeId(trustDomain, '');
      const { notBefore } = validity();
      const certificate = issueDownstreamCa({
        issuer,
        publicKey,
        spiffeId,
        notBefore,
        notAfter: issuer.certificate.notAfter,
      });
      return testCa(root, trustDomain, [certificate, ...intermediates], { certificate, signer: signerOf(privateKey) });
    },
  };
}

function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

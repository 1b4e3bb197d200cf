// Certificates of nodes that the control plane makes itself, for x509pop: an authority signs for them, and its key is thrown away at once, so that nobody can
// ever sign for another.
import { createHash } from 'node:crypto';
import { issueSelfSignedCa, issueX509Svid } from '../../runtime/pki/issue.ts';
import { generateKeyPair } from '../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { signerOf } from '../../runtime/pki/signer.ts';
import { createSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';

export interface NodeCertificate {
  readonly keyPem: string;
  readonly certificatePem: string;
}

export interface NodeCertificates {
  readonly authorityPem: string;
  readonly nodes: readonly NodeCertificate[];
}

/** The node's identity is looked at again only when it attests: a year outlives every agent's data directory that is kept. */
const lifetimeMs = 365 * 24 * 3_600_000;

/** `commonName`: of the authority; `paths`: what the certificates say of each node. */
export async function issueNodeCertificates(
  trustDomain: string,
  { commonName, paths, now }: { commonName: string; paths: readonly string[]; now: number },
): Promise<NodeCertificates> {
  const domain = parseTrustDomain(trustDomain);
  const signer = signerOf((await generateKeyPair('ec-p256')).privateKey);
  const validity = { notBefore: now - 10_000, notAfter: now + lifetimeMs };
  const certificate = issueSelfSignedCa({
    signer,
    subject: { organization: 'Espalier', commonName },
    spiffeId: createSpiffeId(domain, ''),
    ...validity,
  });
  const nodes = paths.map(async (path) => {
    const { publicKey, privateKey } = await generateKeyPair('ec-p256');
    const leaf = issueX509Svid({
      issuer: { certificate, signer },
      publicKey,
      spiffeId: createSpiffeId(domain, path),
      ...validity,
      notAfter: validity.notAfter - 1000,
    });
    return {
      keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificatePem: certificatesToPem([leaf.der]),
    };
  });
  return { authorityPem: certificatesToPem([certificate.der]), nodes: await Promise.all(nodes) };
}

/** x509pop names an agent by the SHA-1 of its leaf certificate. */
export function nodeAgentId(trustDomain: string, leaf: Uint8Array): string {
  return `spiffe://${trustDomain}/spire/agent/x509pop/${createHash('sha1').update(leaf).digest('hex')}`;
}

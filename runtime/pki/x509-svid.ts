// Verification of a peer's X509-SVID (X509-SVID §5): whose it is, and that an authority of the trust domain vouches for it.
import { SpiffeError } from '../spiffe/errors.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { parseCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { refuse } from './errors.ts';
import { verifyChain } from './verify-chain.ts';

/** Certificates that one peer may show: counted before any is read. */
export const maxChainLength = 16;

export interface X509SvidInput {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** The authorities of the ID's own trust domain; those of another never count. */
  readonly roots: readonly Certificate[] | readonly Uint8Array[];
  /** Epoch milliseconds. */
  readonly now: number;
  /** Whose authorities the roots are; an ID of another trust domain is refused. */
  readonly trustDomain?: TrustDomain;
}

export interface VerifiedX509Svid {
  readonly id: SpiffeId;
  readonly leaf: Certificate;
  /** Leaf first, root last. */
  readonly chain: Certificate[];
}

export function verifyX509Svid({ chain, roots, now, trustDomain }: X509SvidInput): VerifiedX509Svid {
  if (chain.length > maxChainLength)
    throw refuse('CHAIN_TOO_LONG', `${chain.length} certificates, at most ${maxChainLength} are read`);
  const [leaf, ...intermediates] = chain.map(parseCertificate);
  if (leaf === undefined) throw refuse('CHAIN_EMPTY', 'no certificate was shown');
  const id = leafId(leaf);
  if (trustDomain !== undefined && !id.trustDomain.equals(trustDomain)) {
    throw refuse('TRUST_DOMAIN', `${id.toString()} is not of trust domain ${trustDomain.name}`);
  }
  checkLeaf(leaf);
  return { id, leaf, chain: verifyChain({ leaf, intermediates, roots: roots.map(toCertificate), now }) };
}

/** Whom a leaf claims to be (X509-SVID §2): its only URI name. Nothing is verified. */
export function leafId({ uris }: Pick<Certificate, 'uris'>): SpiffeId {
  const [uri, ...others] = uris;
  if (uri === undefined || others.length > 0)
    throw refuse('LEAF_URI_COUNT', `leaf has ${uris.length} URI names, want 1`);
  try {
    return parseSpiffeId(uri);
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw refuse('LEAF_ID', `leaf's URI name is no SPIFFE ID: ${cause.message}`, cause);
  }
}

/** X509-SVID §4 and §5.2: a leaf may identify a workload, and nothing else. */
export function checkLeaf(leaf: Certificate): void {
  if (leafId(leaf).path === '') throw refuse('LEAF_PATH', 'leaf has the ID of the trust domain itself');
  if (leaf.isCa) throw refuse('LEAF_IS_CA', 'leaf has the CA flag');
  const { keyUsage } = leaf;
  if (keyUsage.certSign) throw refuse('LEAF_CERT_SIGN', 'leaf may sign certificates');
  if (keyUsage.crlSign) throw refuse('LEAF_CRL_SIGN', 'leaf may sign revocation lists');
  if (!keyUsage.digitalSignature) throw refuse('LEAF_KEY_USAGE', 'leaf may not make signatures');
  if (!keyUsage.critical) throw refuse('LEAF_KEY_USAGE', 'leaf has a key usage that is not critical');
}

function toCertificate(root: Certificate | Uint8Array): Certificate {
  return root instanceof Uint8Array ? parseCertificate(root) : root;
}

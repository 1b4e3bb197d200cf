// Certification path validation (RFC 5280 §6.1) as far as SPIFFE needs it: finds a path from a leaf to a root and checks every link.
// No revocation lists and no policies: SPIFFE has neither. What a SPIFFE leaf must look like is x509-svid.ts.
import type { Certificate } from './certificate.ts';
import { PkiError, refuse } from './errors.ts';
import { subjectText } from './certificate.ts';
import { checkNameConstraints } from './name-constraints.ts';
import { checkCertificate, checkIssuing, checkPurpose } from './path-rules.ts';
import type { Usage } from './path-rules.ts';
import { verifySignature } from './signature-algorithm.ts';

export type { Usage } from './path-rules.ts';

export interface ChainInput {
  readonly leaf: Certificate;
  /** In any order; those that lead nowhere are ignored. */
  readonly intermediates: readonly Certificate[];
  /** Trust anchors. They must be CAs and in time, but their own signatures are not looked at. */
  readonly roots: readonly Certificate[];
  /** Epoch milliseconds. */
  readonly now: number;
  /** What the path must allow; `any` where it is left out. */
  readonly usage?: Usage;
}

/** Bounds the work that a hostile chain can cause. */
const limits = { intermediates: 16, depth: 8, signatures: 32 } as const;

interface Search extends ChainInput {
  signaturesLeft: number;
  /** Where a search fails, the refusal nearest to a complete path says why; the first one, since likely issuers come first. */
  nearest: { readonly depth: number; readonly refusal: PkiError } | undefined;
}

/** Leaf first, root last; throws the refusal that came closest to a path. */
export function verifyChain(input: ChainInput): Certificate[] {
  if (input.intermediates.length > limits.intermediates) {
    throw refuse(
      'CHAIN_TOO_LONG',
      `${input.intermediates.length} intermediate certificates, at most ${limits.intermediates} are read`,
    );
  }
  checkCertificate(input.leaf, 'leaf', input.now);
  checkPurpose(input.leaf, 'leaf', input.usage ?? 'any');
  const search: Search = { ...input, signaturesLeft: limits.signatures, nearest: undefined };
  const path = findPath(search, [input.leaf]);
  if (path !== undefined) return path;
  throw search.nearest?.refusal ?? refuse('UNKNOWN_AUTHORITY', 'no path to an authority');
}

function findPath(search: Search, path: readonly Certificate[]): Certificate[] | undefined {
  const child = path.at(-1);
  if (child === undefined) return undefined;
  const roots = issuersOf(child, search.roots);
  const intermediates = issuersOf(child, search.intermediates).filter((candidate) => !isAmong(path, candidate));
  if (roots.length + intermediates.length === 0) {
    note(
      search,
      path.length,
      refuse('UNKNOWN_AUTHORITY', `no authority is called "${subjectText({ subject: child.issuer })}"`),
    );
  }
  for (const root of roots) {
    const complete = [...path, root];
    if (attempt(search, path, root, 'root') && attemptPath(search, complete)) return complete;
  }
  if (intermediates.length > 0 && path.length > limits.depth) {
    note(search, path.length, refuse('CHAIN_TOO_LONG', `path has more than ${limits.depth} intermediate certificates`));
    return undefined;
  }
  for (const intermediate of intermediates) {
    if (!attempt(search, path, intermediate, 'intermediate')) continue;
    const found = findPath(search, [...path, intermediate]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Certificates whose subject is the child's issuer, those with the fitting key identifier first. */
function issuersOf(child: Certificate, candidates: readonly Certificate[]): Certificate[] {
  const named = candidates.filter((candidate) => sameBytes(candidate.subject, child.issuer));
  const fits = (candidate: Certificate): number =>
    child.authorityKeyId !== undefined &&
    candidate.subjectKeyId !== undefined &&
    sameBytes(child.authorityKeyId, candidate.subjectKeyId)
      ? 0
      : 1;
  return named.sort((a, b) => fits(a) - fits(b));
}

/** Whether this certificate may and did issue the last one of the path. */
function attempt(
  search: Search,
  path: readonly Certificate[],
  issuer: Certificate,
  role: 'intermediate' | 'root',
): boolean {
  return noting(search, path.length, () => {
    const child = path.at(-1);
    if (child === undefined) throw refuse('CHAIN_EMPTY', 'path has no leaf');
    checkCertificate(issuer, role, search.now);
    checkIssuing(issuer, role, path);
    checkPurpose(issuer, role, search.usage ?? 'any');
    checkSignature(search, child, issuer);
  });
}

/** What only a whole path can tell. */
function attemptPath(search: Search, path: readonly Certificate[]): boolean {
  return noting(search, path.length, () => checkNameConstraints(path));
}

function checkSignature(search: Search, child: Certificate, issuer: Certificate): void {
  if (search.signaturesLeft === 0) throw refuse('SEARCH_LIMIT', `no path within ${limits.signatures} signatures`);
  if (child.signatureAlgorithm === undefined) {
    throw refuse(
      'SIGNATURE_ALGORITHM',
      `certificate "${subjectText(child)}" is signed with an algorithm that is not supported`,
    );
  }
  search.signaturesLeft -= 1;
  if (!verifySignature(child.signatureAlgorithm, issuer.publicKey, child.tbs, child.signature)) {
    throw refuse('SIGNATURE', `certificate "${subjectText(child)}" is not signed by "${subjectText(issuer)}"`);
  }
}

function noting(search: Search, depth: number, check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    note(search, depth, error);
    return false;
  }
}

function note(search: Search, depth: number, refusal: PkiError): void {
  if (search.nearest === undefined || depth > search.nearest.depth) search.nearest = { depth, refusal };
}

function isAmong(path: readonly Certificate[], certificate: Certificate): boolean {
  return path.some((other) => sameBytes(other.der, certificate.der));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

// The files of a certificate authority above the root, as an organisation's own PKI gives them: read from the worker's directory and checked whole, so
// that what cannot carry the trust domain never reaches a secret store. The key goes nowhere but there.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { parseCertificate } from '../../runtime/pki/certificate.ts';
import type { Certificate } from '../../runtime/pki/certificate.ts';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { verifyChain } from '../../runtime/pki/verify-chain.ts';
import { authorityParts } from '../cloud.ts';
import type { AuthorityPart } from '../cloud.ts';
import { failure, reasonOf } from '../failures.ts';

export type AuthorityFiles = Readonly<Record<AuthorityPart, string>>;

/** What both clouds' stores take. */
const largestFile = 65_536;
/** The servers' CA and that of a segment stand below it. */
const casBelow = 2;

/** Throws InvalidRequest with every file that does not hold, by its path. */
export async function readUpstreamAuthority(
  directory: string | undefined,
  { caTtl, now }: { readonly caTtl: string; readonly now: number },
): Promise<AuthorityFiles> {
  if (directory === undefined)
    throw failure(
      'InvalidRequest',
      'this worker has no ESPALIER_UPSTREAM_AUTHORITY_DIRECTORY: it has no authority to give',
    );
  const read = await Promise.allSettled(authorityParts.map((part) => readPart(directory, part)));
  const faults = read.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : []));
  if (faults.length > 0) throw failure('InvalidRequest', `upstream authority: ${faults.join('; ')}`);
  const [certificate, key, bundle] = read.map((one) => (one.status === 'fulfilled' ? one.value : ''));
  const files = { certificate: certificate ?? '', key: key ?? '', bundle: bundle ?? '' };
  const fault = faultOf(files, directory, now + parseDuration(caTtl), now);
  if (fault !== undefined) throw failure('InvalidRequest', `upstream authority: ${fault}`);
  return files;
}

async function readPart(directory: string, part: AuthorityPart): Promise<string> {
  const path = join(directory, `${part}.pem`);
  const { mode, size } = await stat(path).catch((cause: unknown) => {
    throw new Error(`${path} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`);
  });
  if (size > largestFile) throw new Error(`${path} has ${size} bytes, at most ${largestFile} can be kept as a secret`);
  if (part === 'key' && (mode & 0o077) !== 0)
    throw new Error(
      `${path} has mode ${(mode & 0o777).toString(8)}: a key that others may read is nobody's secret, want 600`,
    );
  return readFile(path, 'utf8');
}

/** `end` is when the first CA that it is to sign would end. */
function faultOf(files: AuthorityFiles, directory: string, end: number, now: number): string | undefined {
  const pathOf = (part: AuthorityPart): string => join(directory, `${part}.pem`);
  try {
    const [certificate, ...chain] = parse(files.certificate);
    if (certificate === undefined) return `${pathOf('certificate')} holds no certificate`;
    if (!certificate.isCa || !certificate.keyUsage.certSign)
      return `${pathOf('certificate')} is of nobody who may sign certificates`;
    if (!isKeyOf(files.key, certificate)) return `${pathOf('key')} is not the key of ${pathOf('certificate')}`;
    const path = verifyChain({ leaf: certificate, intermediates: chain, roots: parse(files.bundle), now });
    const short = path.findIndex(({ pathLength }, index) => pathLength !== undefined && pathLength < index + casBelow);
    if (short !== -1)
      return `its certificate ${short + 1} lets too few CAs stand below it: the servers' and those of the segments`;
    const first = Math.min(...path.map(({ notAfter }) => notAfter));
    if (first < end)
      return `it ends at ${new Date(first).toISOString()}, before a CA of ttl.root would at ${new Date(end).toISOString()}`;
    return undefined;
  } catch (cause) {
    return `${directory} does not hold together: ${reasonOf(cause)}`;
  }
}

function parse(pem: string): Certificate[] {
  return certificatesFromPem(pem).map(parseCertificate);
}

function isKeyOf(pem: string, { publicKey }: Certificate): boolean {
  try {
    return createPublicKey(createPrivateKey(pem)).equals(publicKey);
  } catch {
    return false; // the cause may quote key material: it is left out on purpose
  }
}

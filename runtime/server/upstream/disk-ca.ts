// The files of the upstream authority "disk", read and checked together: a key, the certificate that it belongs to, and the roots above. SPIRE's rules and
// words. What a key file holds is never part of an error.
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { parseCertificate } from '../../pki/certificate.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { certificatesFromPem } from '../../pki/pem.ts';
import { signerOf } from '../../pki/signer.ts';
import type { Signer } from '../../pki/signer.ts';
import { verifyChain } from '../../pki/verify-chain.ts';
import { AuthorityError } from '../ca/authority.ts';

export interface DiskCaFiles {
  readonly certFilePath: string;
  readonly keyFilePath: string;
  /** Without it the certificate must be self-signed, and is the root. */
  readonly bundleFilePath?: string | undefined;
}

export interface DiskCa {
  readonly certificate: Certificate;
  readonly signer: Signer;
  /** What follows our CA's certificate in its chain: nothing under a root. */
  readonly chain: readonly Certificate[];
  readonly roots: readonly Certificate[];
}

export interface DiskCaSurroundings {
  readonly read: (path: string) => Promise<string>;
  readonly now: number;
}

export async function loadDiskCa(files: DiskCaFiles, { read, now }: DiskCaSurroundings): Promise<DiskCa> {
  const key = await part('unable to load upstream CA key', async () => parseKey(await read(files.keyFilePath)));
  const certificates = await part('unable to load upstream CA cert', async () => parse(await read(files.certFilePath)));
  const [certificate] = certificates;
  if (certificate === undefined) throw invalid('unable to load upstream CA cert: no certificate found');
  const { chain, roots } = await placed(files, certificates, read);
  const signer = await part('unable to load upstream CA key', async () => signerOf(key));
  if (!certificate.publicKey.equals(signer.publicKey))
    throw invalid('unable to load upstream CA: certificate and private key do not match');
  try {
    verifyChain({ leaf: certificate, intermediates: chain, roots, now });
  } catch (cause) {
    const why = 'certificate cannot be validated with the provided bundle or is not self-signed';
    throw invalid(`unable to load upstream CA: ${why}`, cause);
  }
  return { certificate, signer, chain, roots };
}

async function placed(
  { bundleFilePath }: DiskCaFiles,
  certificates: readonly Certificate[],
  read: DiskCaSurroundings['read'],
): Promise<Pick<DiskCa, 'chain' | 'roots'>> {
  if (bundleFilePath !== undefined) {
    const roots = await part('unable to load upstream CA bundle', async () => parse(await read(bundleFilePath)));
    return { chain: certificates, roots };
  }
  if (certificates.length === 1) return { chain: [], roots: certificates };
  throw invalid('with no bundle_file_path configured only self-signed CAs are supported');
}

function parse(pem: string): Certificate[] {
  return certificatesFromPem(pem).map(parseCertificate);
}

/** PKCS #8, and the older forms of RSA and EC keys. */
function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // The cause may quote key material: it is left out on purpose.
    throw new Error('the file holds no private key in PEM that is not encrypted');
  }
}

async function part<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw invalid(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function invalid(message: string, cause?: unknown): AuthorityError {
  return new AuthorityError('INVALID', message, { cause });
}

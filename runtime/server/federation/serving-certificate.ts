// The certificate that an https_web endpoint shows: two PEM files that something else renews. They are read again and again, and a pair that does
// not fit together, as it stands half-way through a renewal, leaves the one before in use.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Logger } from '../../log.ts';
import { certificatesFromPem } from '../../pki/pem.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';

export interface ServingCertificateFiles {
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly syncIntervalMs: number;
}

export interface ServingCertificate {
  current(): TlsCredentials;
  close(): void;
}

/** Throws where the files do not hold at start. */
export async function openServingCertificate(files: ServingCertificateFiles, log: Logger): Promise<ServingCertificate> {
  let current = await loadPair(files);
  let isReading = false;

  const readAgain = async (): Promise<void> => {
    if (isReading) return;
    isReading = true;
    try {
      const next = await loadPair(files);
      if (next.certificateChainPem === current.certificateChainPem && next.privateKey === current.privateKey) return;
      current = next;
      log.info({ cert_file_path: files.certificatePath }, 'Loaded provided certificate with success');
    } catch (error) {
      log.error({ err: error }, 'Failed to load certificate');
    } finally {
      isReading = false;
    }
  };

  const timer = setInterval(() => void readAgain(), files.syncIntervalMs);
  return { current: () => current, close: () => clearInterval(timer) };
}

async function loadPair({ certificatePath, keyPath }: ServingCertificateFiles): Promise<TlsCredentials> {
  const [certificateChainPem, privateKey] = await Promise.all([readPem(certificatePath), readPem(keyPath)]);
  try {
    const [leaf] = certificatesFromPem(certificateChainPem);
    // OpenSSL takes two empty texts for no certificate at all, and is content.
    if (leaf === undefined || !new X509Certificate(leaf).checkPrivateKey(createPrivateKey(privateKey)))
      throw new Error('the key is not the certificate’s');
  } catch (cause) {
    const pair = `${certificatePath} and ${keyPath}`;
    throw new Error(`unable to use ${pair} as certificate and key: ${(cause as Error).message}`, { cause });
  }
  return { certificateChainPem, privateKey };
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new Error(`unable to read ${path}: ${(cause as Error).message}`, { cause });
  }
}

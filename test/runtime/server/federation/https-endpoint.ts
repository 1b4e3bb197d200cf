// An HTTPS server whose answers the test writes, with a certificate of the Web PKI's kind for 127.0.0.1, or an SVID.
import { createServer } from 'node:https';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { TlsCredentials } from '../../../../runtime/rpc/tls-credentials.ts';
import { ecKeys, makeCertificate } from '../../attest/certificates.ts';

export const webRoot = makeCertificate({ commonName: 'Web Root', keys: ecKeys(), ca: true });

export function webCredentials(ipv4 = '127.0.0.1', uris: readonly string[] = []): TlsCredentials {
  const keys = ecKeys();
  const { pem } = makeCertificate({ commonName: 'web', keys, issuer: webRoot, serialNumber: 2, ipv4, uris });
  return { certificateChainPem: pem, privateKey: keys.privateKey };
}

/** The URL that it answers at. */
export async function serveHttps(credentials: TlsCredentials, listener: RequestListener): Promise<string> {
  const { certificateChainPem: cert, privateKey } = credentials;
  const key = typeof privateKey === 'string' ? privateKey : privateKey.export({ type: 'pkcs8', format: 'pem' });
  const server = createServer({ cert, key }, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

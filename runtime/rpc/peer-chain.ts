// The certificates that the other end of a TLS connection sent. Only reads them: nothing here says that they are good.
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { maxChainLength } from '../pki/x509-svid.ts';

/**
 * Takes the chain as the peer sent it, DER, leaf first; empty where it sent none. Call it once per connection: Node shifts the certificates off
 * OpenSSL's own list, so that a second call sees fewer. `getPeerCertificate(true)` is not used because it leaks (CVE-2025-59464).
 */
export function takePeerChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  while (certificate !== undefined) {
    // Without a bound a peer decides how long we walk.
    if (chain.length === maxChainLength) throw new Error(`peer sent more than ${maxChainLength} certificates`);
    chain.push(new Uint8Array(certificate.raw));
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

// A certificate with its key, and the TLS settings that both ends of our connections share: TLS 1.2 or later, HTTP/2 only, nothing resumed.
import { constants } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

export interface TlsCredentials {
  /** Leaf first, then intermediates. */
  readonly certificateChainPem: string;
  /** PEM (PKCS#8), or the key itself. */
  readonly privateKey: string | KeyObject;
}

/** The only protocol spoken inside. */
export const alpnProtocol = 'h2';

/**
 * Settings of one connection. `ca` is empty on purpose: OpenSSL's own check then never says yes, Node never runs its name check, and the machine's
 * roots have no part in any decision. Peers are judged by our callback alone, and a resumed session would slip past it, hence no tickets.
 */
export function secureContextOptions(credentials: TlsCredentials | undefined): SecureContextOptions {
  const settings: SecureContextOptions = { ca: [], minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET };
  if (credentials === undefined) return settings;
  const { certificateChainPem, privateKey } = credentials;
  const key = typeof privateKey === 'string' ? privateKey : privateKey.export({ type: 'pkcs8', format: 'pem' });
  return { ...settings, cert: certificateChainPem, key };
}

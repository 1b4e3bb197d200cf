// A TLS connection to an https_web endpoint: judged as browsers judge, by the machine's roots and the host's name. https_spiffe endpoints are
// judged by rpc/tls-dial.ts and the bundle of a trust domain instead; neither ever stands in for the other.
import { constants } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';

/** As other programs on this machine have it (SSL_CERT_FILE and SSL_CERT_DIR included); Node's own list where the machine has none. */
export function systemRoots(): readonly string[] {
  const system = getCACertificates('system');
  return system.length === 0 ? getCACertificates('default') : [...system, ...getCACertificates('extra')];
}

/** Made once: it takes long, and a change of the machine's roots shows after a restart, as in SPIRE. */
export function createWebContext(roots: () => readonly string[]): () => SecureContext {
  let context: SecureContext | undefined;
  return () => {
    context ??= createSecureContext({
      ca: [...roots()],
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    return context;
  };
}

export interface WebDialOptions {
  readonly host: string;
  readonly port: number;
  readonly secureContext: SecureContext;
  readonly signal: AbortSignal;
}

export function dialWeb({ host, port, secureContext, signal }: WebDialOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      secureContext,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ['http/1.1'],
      // Node judges all the same; that the connection is not cut at once leaves us the certificate to explain the refusal by.
      rejectUnauthorized: false,
    });
    const giveUp = () => refuse(signal.reason as Error);
    const refuse = (error: Error) => {
      signal.removeEventListener('abort', giveUp);
      socket.destroy();
      reject(error);
    };
    socket.on('error', refuse); // stays for good, as in rpc/tls-dial.ts
    socket.once('close', () => refuse(new Error(`${host} closed the connection during the TLS handshake`)));
    socket.once('secureConnect', () => {
      if (!socket.authorized || socket.isSessionReused()) return refuse(explain(socket));
      signal.removeEventListener('abort', giveUp);
      resolve(socket);
    });
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
  });
}

/** The commonest mistake is a profile that is not the endpoint's. */
function explain(socket: TLSSocket): Error {
  const reason = `certificate of the endpoint is not accepted: ${String(socket.authorizationError)}`;
  const id = /URI:(spiffe:\/\/[^,\s"]+)/.exec(socket.getPeerX509Certificate()?.subjectAltName ?? '')?.[1];
  if (id === undefined) return new Error(reason);
  const hint = `the server certificate contains SPIFFE ID ${JSON.stringify(id)}: maybe use https_spiffe instead of https_web`;
  return new Error(`failed to authenticate bundle endpoint using web authentication but ${hint}: ${reason}`);
}

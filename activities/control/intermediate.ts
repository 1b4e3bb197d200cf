// Proof that a downstream server signs with an intermediate CA of the trust domain: the chain that it shows on its own port, verified.
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { serverId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { verifyX509Svid } from '../../runtime/pki/x509-svid.ts';
import { alpnProtocol } from '../../runtime/rpc/tls-credentials.ts';
import { dialTls } from '../../runtime/rpc/tls-dial.ts';
import { peerVerifier, tlsCredentialsOf } from '../../runtime/workloadapi/tls.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { failure } from '../failures.ts';
import type { CertificateReport, ServerAddress } from '../inputs.ts';
import { parseAddress } from '../clients/spire-server.ts';
import { reportCertificate } from './certificate-report.ts';

/** Certificates begin a little before they are issued, so that slow clocks take them. */
const backdateMs = 60_000;

export async function verifyIntermediate(
  source: X509Source,
  server: ServerAddress & { caTtl: string },
  now: number,
): Promise<CertificateReport> {
  const trustDomain = parseTrustDomain(server.trustDomain);
  const shown = await chainOf(source, server, now);
  const roots = source.bundle(trustDomain).x509Authorities.map(({ asn1 }) => asn1);
  const { chain } = verifyX509Svid({ chain: shown, roots, now, trustDomain });
  const [, intermediate] = chain;
  if (intermediate === undefined || shown.length < 2) {
    throw failure('TrustViolation', `server ${server.address} shows no intermediate: its SVID is signed by a root`);
  }
  const lifetime = intermediate.notAfter - intermediate.notBefore;
  if (lifetime > parseDuration(server.caTtl) + backdateMs) {
    throw failure(
      'TrustViolation',
      `intermediate of server ${server.address} lives ${lifetime / 1000} s, longer than ${server.caTtl}`,
    );
  }
  return reportCertificate(intermediate);
}

/** The chain as the server shows it to a new connection; only the trust domain's server is accepted. */
async function chainOf(
  source: X509Source,
  { trustDomain, address }: ServerAddress,
  now: number,
): Promise<Uint8Array[]> {
  const expected = serverId(parseTrustDomain(trustDomain));
  const verifyServer = peerVerifier({ source, authorize: (id) => id.equals(expected), clock: () => now });
  const credentials = () => tlsCredentialsOf(source);
  const { host, port } = parseAddress(address);
  const { socket, peerChain } = await dialTls({ port }, { host, credentials, verifyServer, alpnProtocol });
  socket.destroy();
  return [...peerChain];
}

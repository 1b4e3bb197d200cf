// What the workloads themselves say: who they are, with which chain, whom they talked to, and whom they refused. Asked over mTLS with the
// worker's own SVID, which their control port admits and their service port must not.
import { request } from 'node:http';
import { parseCertificate } from '../../runtime/pki/certificate.ts';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { verifyX509Svid } from '../../runtime/pki/x509-svid.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { connectMtls } from '../../runtime/workloadapi/mtls.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { z } from 'zod';
import { failure } from '../failures.ts';
import type { HandshakeReport, RefusalReport, WorkloadAddress, WorkloadReport } from '../inputs.ts';
import { reportCertificate } from './certificate-report.ts';

const pems = z.array(z.string());
const identitySchema = z.object({ id: z.string(), chain: pems });
const handshakeSchema = z.object({ self: z.string(), peer: z.string(), peerChain: pems, seenAs: z.string() });
const refusalsSchema = z.array(z.object({ time: z.string(), peerId: z.string().nullish(), reason: z.string() }));
const timeoutMs = 10_000;

/** The workload's own report of its identity, its chain verified up to the trust domain's root. */
export async function readWorkload(
  source: X509Source,
  trustDomainName: string,
  workload: WorkloadAddress,
  now: number,
): Promise<WorkloadReport> {
  const answer = await ask(source, workload, 'GET', '/identity');
  const { id, chain: pem } = identitySchema.parse(answer);
  if (id !== workload.spiffeId)
    throw failure('TrustViolation', `workload at ${workload.address} is ${id}, want ${workload.spiffeId}`);
  const trustDomain = parseTrustDomain(trustDomainName);
  const roots = source.bundle(trustDomain).x509Authorities.map(({ asn1 }) => asn1);
  const verified = verifyX509Svid({ chain: ders(pem), roots, now, trustDomain });
  if (verified.id.toString() !== workload.spiffeId) {
    throw failure('TrustViolation', `workload ${workload.spiffeId} reports a chain of ${verified.id.toString()}`);
  }
  return { spiffeId: id, chain: verified.chain.map(reportCertificate) };
}

/** Has `from` connect anew to `to`; content when each saw the other. */
export async function verifyHandshake(
  source: X509Source,
  from: WorkloadAddress,
  to: WorkloadAddress,
): Promise<HandshakeReport> {
  const answer = await ask(source, from, 'POST', '/handshake', {
    address: `${to.address}:${to.servicePort}`,
    expectedId: to.spiffeId,
  });
  const { self, peer, peerChain, seenAs } = handshakeSchema.parse(answer);
  const [leaf] = ders(peerChain);
  if (self !== from.spiffeId || peer !== to.spiffeId || seenAs !== from.spiffeId || leaf === undefined) {
    throw failure(
      'TrustViolation',
      `handshake of ${from.spiffeId} with ${to.spiffeId}: ${self} saw ${peer}, which saw ${seenAs}`,
    );
  }
  return {
    from: self,
    to: to.spiffeId,
    sawPeer: peer,
    seenAs,
    peerLeafSha256: reportCertificate(parseCertificate(leaf)).sha256,
  };
}

/** Tries the service port as the worker, whom no workload admits; content when the workload refused and says so itself. */
export async function verifyRefusal(
  source: X509Source,
  workload: WorkloadAddress,
  now: number,
): Promise<RefusalReport> {
  const self = source.svid().id.toString();
  const admitted = await isAdmitted(source, workload);
  if (admitted)
    throw failure('TrustViolation', `workload ${workload.spiffeId} admitted ${self}, which is no peer of its own`);
  const refusals = refusalsSchema.parse(await ask(source, workload, 'GET', '/refusals'));
  const own = refusals.findLast(({ peerId, time }) => peerId === self && Date.parse(time) >= now - 1000);
  if (own === undefined) throw failure('NotReady', `workload ${workload.spiffeId} reports no refusal of ${self}`);
  return { workload: workload.spiffeId, refused: self, reason: own.reason };
}

async function isAdmitted(source: X509Source, { address, servicePort, spiffeId }: WorkloadAddress): Promise<boolean> {
  const { socket } = await connectMtls({
    host: address,
    port: servicePort,
    source,
    authorize: (id) => id.toString() === spiffeId,
    timeoutMs,
  });
  try {
    await exchange(socket, 'GET', '/identity');
    return true;
  } catch {
    return false; // in TLS 1.3 the server judges us after its own handshake: a refusal shows when we read
  } finally {
    socket.destroy();
  }
}

async function ask(
  source: X509Source,
  workload: WorkloadAddress,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const { address, controlPort, spiffeId } = workload;
  const authorize = (id: { toString(): string }) => id.toString() === spiffeId;
  try {
    const { socket } = await connectMtls({ host: address, port: controlPort, source, authorize, timeoutMs });
    return await exchange(socket, method, path, body);
  } catch (cause) {
    throw failure(
      'NotReady',
      `workload ${spiffeId} at ${address}: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}

/** One request over this connection; anything but 200 is an error with the answer's text. */
function exchange(
  socket: Awaited<ReturnType<typeof connectMtls>>['socket'],
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      connection: 'close',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    };
    const call = request(
      { method, path, headers, createConnection: () => socket, timeout: timeoutMs, host: 'workload' },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode === 200) resolve(JSON.parse(answer));
          else reject(new Error(`${method} ${path}: HTTP ${response.statusCode ?? 0}: ${answer.slice(0, 500)}`));
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)));
    call.on('error', reject);
    call.end(text);
  });
}

function ders(pem: readonly string[]): Uint8Array[] {
  return pem.flatMap(certificatesFromPem);
}

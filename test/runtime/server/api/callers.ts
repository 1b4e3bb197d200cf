// Callers of every kind, as the transport presents them: connections whose certificates a test CA signed, and the agent records behind them.
import { Metadata } from '@grpc/grpc-js';
import { serialDecimal } from '../../../../runtime/pki/certificate.ts';
import type { Certificate } from '../../../../runtime/pki/certificate.ts';
import { issueSelfSignedCa, issueX509Svid } from '../../../../runtime/pki/issue.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import type { CallContext } from '../../../../runtime/rpc/call-context.ts';
import type { Connection } from '../../../../runtime/rpc/connection.ts';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import { createSpiffeId, parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';

export const trustDomain = parseTrustDomain('example.org');
export const now = Date.now();
const hour = 3_600_000;

const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
const certificate = issueSelfSignedCa({
  signer,
  subject: { country: 'US', organization: 'SPIFFE' },
  spiffeId: createSpiffeId(trustDomain, ''),
  notBefore: now - 2 * hour,
  notAfter: now + 2 * hour,
});
const { publicKey } = generateKeyPairSync('ec-p256');

export function issueLeaf(id: string, notAfter = now + hour): Certificate {
  const spiffeId = parseSpiffeId(id);
  return issueX509Svid({ issuer: { certificate, signer }, publicKey, spiffeId, notBefore: now - hour, notAfter });
}

export function remote(id: string, leaf = issueLeaf(id)): Connection {
  return { transport: 'tcp', address: '127.0.0.1:4242', peerChain: [leaf.der], peerId: parseSpiffeId(id) };
}

export const local: Connection = { transport: 'unix', pid: 1, uid: 0, gid: 0 };
export const anonymous: Connection = { transport: 'tcp', address: '127.0.0.1:4242', peerChain: [] };

export function callOf(
  method: string,
  connection: Connection,
  signal = new AbortController().signal,
  deadline?: number,
): CallContext {
  return { connection, metadata: new Metadata(), signal, method, deadline };
}

export function agentRecord(spiffeId: string, leaf: Certificate, patch: Partial<AgentRecord> = {}): AgentRecord {
  return {
    spiffeId,
    attestationType: 'x509pop',
    x509SvidSerialNumber: serialDecimal(leaf),
    x509SvidExpiresAt: Math.floor(leaf.notAfter / 1000),
    newX509SvidSerialNumber: '',
    newX509SvidExpiresAt: 0,
    banned: false,
    canReattest: false,
    selectors: [],
    ...patch,
  };
}

// Who calls the server under load: an administrator and agents, each with an identity that the server gave it.
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentService } from '../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryService } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDService } from '../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { Entry } from '../../proto/gen/spire/api/types/entry.ts';
import { createCsr } from '../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { signerOf } from '../../runtime/pki/signer.ts';
import { createClient } from '../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../runtime/rpc/client.ts';
import type { TlsCredentials } from '../../runtime/rpc/tls-credentials.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';

export const trustDomain = parseTrustDomain('example.org');

export type Connect = (credentials?: TlsCredentials) => Clients;

export function clientsOf(channel: RpcChannel) {
  return {
    agent: createClient(AgentService, channel),
    bundle: createClient(BundleService, channel),
    entry: createClient(EntryService, channel),
    svid: createClient(SVIDService, channel),
    close: () => channel.close(),
  };
}

export type Clients = ReturnType<typeof clientsOf>;

/** What asks for an X509-SVID of that path; of an agent's, whose ID the server chooses, none is named. */
export function createRequest(path?: string) {
  const { privateKey } = generateKeyPairSync('ec-p256');
  const named = path === undefined ? {} : { spiffeId: parseSpiffeId(trustDomain.idString() + path) };
  return { privateKey, csr: createCsr({ signer: signerOf(privateKey), ...named }) };
}

export function workloadEntry(path: string, parentPath: string, more: Partial<Entry> = {}): Entry {
  const id = (to: string) => ({ trustDomain: trustDomain.name, path: to });
  const selectors = [
    { type: 'unix', value: `path:/opt${path}` },
    { type: 'unix', value: 'uid:1000' },
  ];
  return { ...Entry.create({ spiffeId: id(path), parentId: id(parentPath), selectors }), ...more };
}

/** The keys of agents are made beforehand: making one costs more than what it is for. */
const agentRequest = createRequest();

/** Over a connection of its own, which the caller closes. */
export async function attestAgent(connect: () => Clients, token: string) {
  const { privateKey, csr } = agentRequest;
  const data = { type: 'join_token', payload: Buffer.from(token) };
  async function* params() {
    yield { step: { $case: 'params' as const, value: { data, params: { csr } } } };
  }
  const { agent, close } = connect();
  for await (const { step } of agent.attestAgent(params())) {
    if (step?.$case !== 'result') continue;
    const svid = step.value.svid!;
    const credentials = { certificateChainPem: certificatesToPem(svid.certChain), privateKey };
    return { path: svid.id!.path, credentials, close };
  }
  throw new Error('the agent did not attest');
}

/** An agent with an identity. */
export async function makeAgent(local: Clients, connect: Connect) {
  const { value } = await local.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  const { path, credentials, close } = await attestAgent(connect, value);
  close();
  return { path, ...connect(credentials) };
}

export async function makeAdmin(local: Clients, connect: Connect, agentPath: string): Promise<Clients> {
  const entries = [workloadEntry('/administrator', agentPath, { admin: true })];
  await local.entry.batchCreateEntry({ entries, outputMask: undefined });
  const { privateKey, csr } = createRequest('/administrator');
  const { svid } = await local.svid.mintX509Svid({ csr, ttl: 0 });
  const admin = connect({ certificateChainPem: certificatesToPem(svid!.certChain), privateKey });
  // Until the server's cache has the entry.
  while (!(await admin.entry.countEntries({ filter: undefined }).then(Boolean, () => false))) await sleep(20);
  return admin;
}

// Starts a database and the server on it, and makes the callers: an administrator and an agent, each over a TLS connection of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCsr } from '../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { signerOf } from '../../runtime/pki/signer.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../runtime/rpc/client.ts';
import type { TlsCredentials } from '../../runtime/rpc/tls-credentials.ts';
import { serverVerifier } from '../../runtime/rpc/verify-peer.ts';
import { AgentService } from '../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryService } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDService } from '../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { Entry } from '../../proto/gen/spire/api/types/entry.ts';
import { parseSpiffeId, serverId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { startPostgres } from '../support/postgres-server.ts';
import type { ServerMessage, ServerReady } from './server-process.ts';

const trustDomain = parseTrustDomain('example.org');

function clientsOf(channel: RpcChannel) {
  return {
    agent: createClient(AgentService, channel),
    bundle: createClient(BundleService, channel),
    entry: createClient(EntryService, channel),
    svid: createClient(SVIDService, channel),
  };
}

type Clients = ReturnType<typeof clientsOf>;

export async function startServerUnderLoad() {
  const postgres = await startPostgres();
  const child = fork(new URL('./server-process.ts', import.meta.url), [postgres.url], { stdio: 'inherit' });
  const answer = async (): Promise<ServerMessage> => ((await once(child, 'message')) as [ServerMessage])[0];
  const { port, socketPath, directory } = (await answer()) as ServerReady;

  const channels: RpcChannel[] = [connect({ unixPath: socketPath })];
  const local = clientsOf(channels[0]!);
  const bundle = await local.bundle.getBundle({ outputMask: undefined });
  const roots = bundle.x509Authorities.map(({ asn1 }) => asn1);
  const connectTls = (credentials?: TlsCredentials): Clients => {
    const verifyServer = serverVerifier({ expectedId: serverId(trustDomain), roots: () => roots, clock: Date.now });
    const tls = credentials === undefined ? {} : { credentials: () => credentials };
    const channel = connect({ host: '127.0.0.1', port, verifyServer, ...tls });
    channels.push(channel);
    return clientsOf(channel);
  };
  const agent = await attestAgent(local, connectTls);

  return {
    agentPath: agent.path,
    agent: agent.clients,
    admin: await makeAdmin(local, connectTls, agent.path),
    /** Microseconds that the server has used since it started. */
    async cpuTime(): Promise<number> {
      child.send('cpu');
      const message = await answer();
      return message.kind === 'cpu' ? message.used : 0;
    },
    async close(): Promise<void> {
      for (const channel of channels) channel.close();
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
      await postgres.remove();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export type ServerUnderLoad = Awaited<ReturnType<typeof startServerUnderLoad>>;

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

async function attestAgent(local: Clients, connectTls: (credentials?: TlsCredentials) => Clients) {
  const { value } = await local.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  const { privateKey, csr } = createRequest();
  const data = { type: 'join_token', payload: Buffer.from(value) };
  async function* params() {
    yield { step: { $case: 'params' as const, value: { data, params: { csr } } } };
  }
  for await (const { step } of connectTls().agent.attestAgent(params())) {
    if (step?.$case !== 'result') continue;
    const svid = step.value.svid!;
    const credentials = { certificateChainPem: certificatesToPem(svid.certChain), privateKey };
    return { path: svid.id!.path, clients: connectTls(credentials) };
  }
  throw new Error('the agent did not attest');
}

async function makeAdmin(
  local: Clients,
  connectTls: (credentials: TlsCredentials) => Clients,
  agentPath: string,
): Promise<Clients> {
  const entries = [workloadEntry('/administrator', agentPath, { admin: true })];
  await local.entry.batchCreateEntry({ entries, outputMask: undefined });
  const { privateKey, csr } = createRequest('/administrator');
  const { svid } = await local.svid.mintX509Svid({ csr, ttl: 0 });
  const admin = connectTls({ certificateChainPem: certificatesToPem(svid!.certChain), privateKey });
  // Until the server's cache has the entry.
  while (!(await admin.entry.countEntries({ filter: undefined }).then(Boolean, () => false))) await sleep(20);
  return admin;
}

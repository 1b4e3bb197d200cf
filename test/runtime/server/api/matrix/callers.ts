// Every kind of caller, on a running server: how it connects, what it may be taken for, and why an agent among them is refused.
import type { KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bundle } from '../../../../../proto/gen/spire/api/types/bundle.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../../../../../proto/gen/spire/api/types/status.ts';
import { AppendBundleRequest } from '../../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { LocalAuthorityService } from '../../../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { attestNode } from '../../../../../runtime/agent/node/attest-node.ts';
import { createAgentAttestor } from '../../../../../runtime/attest/agent-attestors.ts';
import { createCsr } from '../../../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../../../../runtime/pki/pem.ts';
import { parseCertificate } from '../../../../../runtime/pki/certificate.ts';
import { signerOf } from '../../../../../runtime/pki/signer.ts';
import { createClient } from '../../../../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../../../../runtime/rpc/client.ts';
import type { TlsCredentials } from '../../../../../runtime/rpc/tls-credentials.ts';
import { clientsOf, createEntry, runServer, trustDomain } from '../../../../support/run-server.ts';
import type { Clients, RunningTestServer } from '../../../../support/run-server.ts';
import { silentLog } from '../../../../support/stores.ts';
import { ecKeys, makeCertificate } from '../../../attest/certificates.ts';
import type { TestCertificate } from '../../../attest/certificates.ts';
import { caConstraints, forge } from '../../../pki/forge.ts';
import type { Authority, Forgery } from '../../../pki/forge.ts';
import { createTestCa } from '../../../rpc/test-ca.ts';
import type { CallerRole, RpcRow } from './rpcs.ts';

export interface MatrixCaller {
  readonly transport: 'unix' | 'tcp';
  /** Whether the server accepts the connection at all; a certificate that does not verify never gets to a method. */
  readonly handshake: 'accepted' | 'refused';
  readonly roles: readonly CallerRole[];
  /** Of a caller with an X509-SVID, in the details of its refusal where only agents would do. */
  readonly reason?: Reason;
  /** What it gets although its role would do. */
  readonly exceptions?: Readonly<Record<string, string>>;
  /** The channel for one call. */
  channel(row?: RpcRow): Promise<RpcChannel> | RpcChannel;
  /** Runs before its first call, after all callers before it are done. */
  readonly prepare?: () => void;
}

const hour = 3_600_000;
const adminByConfiguration = 'spiffe://example.org/admin/by-configuration';
const foreignAdmin = 'spiffe://other.org/admin';
const noAgent = Reason.AGENT_NOT_ATTESTED;
const mustReattest = 'PERMISSION_DENIED agent must reattest instead of renew (AGENT_MUST_REATTEST)';
const renewAgent = '/spire.api.server.agent.v1.Agent/RenewAgent';

export const callerNames = [
  'without a certificate',
  'on the Unix socket',
  'an agent with its current SVID',
  'an agent with the SVID that it has just been given',
  'an agent with the SVID that it had before',
  'a banned agent',
  'an evicted agent',
  'an agent that must re-attest',
  'a stranger with an agent’s ID',
  'a workload',
  'an admin by its entry',
  'an admin by configuration',
  'an admin by configuration of a federated trust domain',
  'a member of a federated trust domain',
  'a downstream server',
  'an admin whose entry was deleted',
  'a server of the trust domain',
  'a certificate of an unknown CA',
  'a certificate with two URI names',
  'a certificate without a URI name',
  'a certificate whose URI name is no SPIFFE ID',
  'a certificate for the trust domain itself',
  'a CA certificate',
  'an authority’s own certificate',
  'a certificate that has expired',
  'a certificate of a revoked authority',
  'an agent whose SVID has expired', // the last: it moves the clock
] as const;

/** Those whose certificate the server does not accept, written down before any of them connects. */
export const refusedCallers: readonly CallerName[] = [
  'a member of a federated trust domain',
  'a certificate of an unknown CA',
  'a certificate with two URI names',
  'a certificate without a URI name',
  'a certificate whose URI name is no SPIFFE ID',
  'a certificate for the trust domain itself',
  'a CA certificate',
  'an authority’s own certificate',
  'a certificate that has expired',
  'a certificate of a revoked authority',
];

export type CallerName = (typeof callerNames)[number];

export interface MatrixWorld {
  readonly server: RunningTestServer;
  readonly callers: Readonly<Record<CallerName, MatrixCaller>>;
  close(): Promise<void>;
}

export async function createMatrixWorld(): Promise<MatrixWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'matrix-'));
  const nodeCa = makeCertificate({ commonName: 'node CA', keys: ecKeys(), ca: true, serialNumber: 3 });
  await writeFile(join(directory, 'nodes.pem'), nodeCa.pem);
  let later = 0;
  const server = await runServer({
    clock: () => Date.now() + later,
    settings: `admin_ids = ["${adminByConfiguration}", "${foreignAdmin}"]`,
    plugins: `NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "${directory}/nodes.pem" } }`,
  });
  const { local, openTls } = server;

  const revoked = await server.mintCredentials('spiffe://example.org/workload/old');
  await replaceX509Authority(server);
  const ours = await appendAuthority(server);
  const other = createTestCa('other.org');
  await local.bundle.batchCreateFederatedBundle({
    bundle: [bundleOf('other.org', other.roots())],
    outputMask: undefined,
  });

  const once = (credentials: TlsCredentials): RpcChannel => openTls(credentials);
  const accepted = (roles: readonly CallerRole[], channel: RpcChannel, reason?: Reason): MatrixCaller => ({
    transport: 'tcp',
    handshake: 'accepted',
    roles,
    ...(reason === undefined ? {} : { reason }),
    channel: () => channel,
  });
  const refused = (credentials: TlsCredentials): MatrixCaller => ({
    transport: 'tcp',
    handshake: 'refused',
    roles: [],
    channel: () => once(credentials),
  });
  const workload = async (path: string) => once(await server.mintCredentials(`spiffe://example.org${path}`));
  const attested = async () => (await server.attestAgent()).credentials;
  const forged = (forgery: Forgery) => forgedCredentials(ours, forgery);
  const pathOf = async (act: (path: string) => Promise<unknown>): Promise<RpcChannel> => {
    const { path, credentials } = await server.attestAgent();
    await act(path);
    return once(credentials);
  };
  const idOf = (path: string) => ({ id: { trustDomain: trustDomain.name, path } });
  const entryFor = (path: string, flag: 'admin' | 'downstream') => createEntry(local, path, '/node', { [flag]: true });

  await entryFor('/admin/by-entry', 'admin');
  await entryFor('/server/below', 'downstream');
  const { id: deletedEntry } = await entryFor('/admin/no-more', 'admin');
  const demoted = await workload('/admin/no-more');
  await expectAdmin(demoted, true);
  await local.entry.batchDeleteEntry({ ids: [deletedEntry] });
  await expectAdmin(demoted, false);
  const entryAdmin = await workload('/admin/by-entry');
  await expectAdmin(entryAdmin, true);

  const expiring = once(await attested());
  await clientsOf(expiring).entry.getAuthorizedEntries({ outputMask: undefined });
  const before = await attested();
  await promote(server, before);
  const current = await server.attestAgent();

  const callers: Record<CallerName, MatrixCaller> = {
    'without a certificate': accepted(['any'], openTls()),
    'on the Unix socket': {
      transport: 'unix',
      handshake: 'accepted',
      roles: ['any', 'local'],
      channel: () => server.localChannel,
    },
    'an agent with its current SVID': accepted(['any', 'agent'], once(current.credentials)),
    'an agent with the SVID that it has just been given': await pendingAgent(server),
    'an agent with the SVID that it had before': accepted(['any'], once(before), Reason.AGENT_NOT_ACTIVE),
    'a banned agent': accepted(['any'], await pathOf((path) => local.agent.banAgent(idOf(path))), Reason.AGENT_BANNED),
    'an evicted agent': accepted(['any'], await pathOf((path) => local.agent.deleteAgent(idOf(path))), noAgent),
    'an agent that must re-attest': {
      ...accepted(['any', 'agent'], once(await attestWithCertificate(server, directory, nodeCa))),
      exceptions: { [renewAgent]: mustReattest },
    },
    'a stranger with an agent’s ID': accepted(['any'], once(forged({ uris: [current.id] })), Reason.AGENT_NOT_ACTIVE),
    'a workload': accepted(['any'], await workload('/workload'), noAgent),
    'an admin by its entry': accepted(['any', 'admin'], entryAdmin, noAgent),
    'an admin by configuration': accepted(['any', 'admin'], await workload('/admin/by-configuration'), noAgent),
    'an admin by configuration of a federated trust domain': accepted(
      ['any', 'admin'],
      once(other.issue('/admin')),
      noAgent,
    ),
    'a member of a federated trust domain': refused(other.issue('/admin/not')),
    'a downstream server': accepted(['any', 'downstream'], await workload('/server/below'), noAgent),
    'an admin whose entry was deleted': accepted(['any'], demoted, noAgent),
    'a server of the trust domain': accepted(
      ['any'],
      once(forged({ uris: ['spiffe://example.org/spire/server'] })),
      noAgent,
    ),
    'a certificate of an unknown CA': refused(createTestCa('example.org').issue('/admin/by-configuration')),
    'a certificate with two URI names': refused(
      forged({ uris: [adminByConfiguration, 'spiffe://example.org/workload'] }),
    ),
    'a certificate without a URI name': refused(forged({ uris: [], dnsNames: ['example.org'] })),
    'a certificate whose URI name is no SPIFFE ID': refused(
      forged({ uris: ['spiffe://example.org/admin/%62y-configuration'] }),
    ),
    'a certificate for the trust domain itself': refused(forged({ uris: ['spiffe://example.org'] })),
    'a CA certificate': refused(
      forged({
        uris: [adminByConfiguration],
        basicConstraints: caConstraints(),
        keyUsage: ['digitalSignature', 'certSign'],
      }),
    ),
    'an authority’s own certificate': refused({
      certificateChainPem: certificatesToPem([ours.certificate.der]),
      privateKey: ours.privateKey,
    }),
    'a certificate that has expired': refused(
      forged({ uris: [adminByConfiguration], notBefore: Date.now() - 2 * hour, notAfter: Date.now() - 1_000 }),
    ),
    'a certificate of a revoked authority': refused(revoked),
    'an agent whose SVID has expired': {
      ...accepted(['any'], expiring, Reason.AGENT_EXPIRED),
      prepare: () => void (later = 2 * hour),
    },
  };

  return {
    server,
    callers,
    async close() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The server signs with another authority, and nobody trusts the first one any more. */
async function replaceX509Authority(server: RunningTestServer): Promise<void> {
  const authority = createClient(LocalAuthorityService, server.localChannel);
  const { active } = await authority.getX509AuthorityState({});
  const { preparedAuthority } = await authority.prepareX509Authority({});
  await server.trustPresentBundle();
  await authority.activateX509Authority({ authorityId: preparedAuthority!.authorityId });
  await authority.taintX509Authority({ authorityId: active!.authorityId });
  await authority.revokeX509Authority({ authorityId: active!.authorityId });
  await server.trustPresentBundle();
}

interface OwnAuthority extends Authority {
  readonly privateKey: KeyObject;
}

/** An authority whose key is the test's: it signs what the server never would. */
async function appendAuthority(server: RunningTestServer): Promise<OwnAuthority> {
  const { privateKey } = generateKeyPairSync('ec-p256');
  const signer = signerOf(privateKey);
  const der = forge(signer, {
    subject: { commonName: 'matrix authority' },
    basicConstraints: caConstraints(),
    keyUsage: ['certSign', 'crlSign'],
    uris: ['spiffe://example.org'],
    notBefore: Date.now() - 3 * hour,
    notAfter: Date.now() + 24 * hour,
  });
  const x509Authorities = [{ asn1: der, tainted: false }];
  await server.local.bundle.appendBundle({ ...AppendBundleRequest.create(), x509Authorities });
  return { certificate: parseCertificate(der), signer, privateKey };
}

function forgedCredentials(authority: Authority, forgery: Forgery): TlsCredentials {
  const { privateKey } = generateKeyPairSync('ec-p256');
  const rules: Forgery = {
    keyUsage: ['digitalSignature'],
    notBefore: Date.now() - hour,
    notAfter: Date.now() + hour,
  };
  const der = forge(signerOf(privateKey), { ...rules, ...forgery }, authority);
  return { certificateChainPem: certificatesToPem([der]), privateKey };
}

function bundleOf(name: string, roots: readonly Uint8Array[]): Bundle {
  return Bundle.create({ trustDomain: name, x509Authorities: roots.map((asn1) => ({ asn1, tainted: false })) });
}

/** The entry cache follows the store within milliseconds, not at once. */
async function expectAdmin(channel: RpcChannel, admin: boolean): Promise<void> {
  const { entry } = clientsOf(channel);
  const isAdmin = () =>
    entry.countEntries({ filter: undefined }).then(
      () => true,
      () => false,
    );
  for (const until = Date.now() + 10_000; (await isAdmin()) !== admin;)
    if (Date.now() > until)
      throw new Error(`the cache does not say that the caller ${admin ? 'is' : 'is not'} an admin`);
}

async function renew({ agent }: Clients): Promise<TlsCredentials> {
  const { privateKey } = generateKeyPairSync('ec-p256');
  const { svid } = await agent.renewAgent({ params: { csr: createCsr({ signer: signerOf(privateKey) }) } });
  return { certificateChainPem: certificatesToPem(svid!.certChain), privateKey };
}

/** The agent renews its SVID and uses the new one: what it had before is of no use from then on. */
async function promote(server: RunningTestServer, credentials: TlsCredentials): Promise<void> {
  const next = server.connectTls(await renew(server.connectTls(credentials)));
  await next.entry.getAuthorizedEntries({ outputMask: undefined });
}

/** An SVID stays "new" until it is used for a call that agents may make: each such call gets another one. */
async function pendingAgent(server: RunningTestServer): Promise<MatrixCaller> {
  let current: TlsCredentials = (await server.attestAgent()).credentials;
  let pending = await renew(server.connectTls(current));
  let channel = server.openTls(pending);
  let used = false;
  return {
    transport: 'tcp',
    handshake: 'accepted',
    roles: ['any', 'agent'],
    async channel(row) {
      if (used) {
        current = pending;
        pending = await renew(server.connectTls(current));
        channel = server.openTls(pending);
      }
      used = row?.roles.includes('agent') === true;
      return channel;
    },
  };
}

/** An x509pop agent: its node can prove itself again at any time, so it does not renew. */
async function attestWithCertificate(
  server: RunningTestServer,
  directory: string,
  issuer: TestCertificate,
): Promise<TlsCredentials> {
  const leaf = makeCertificate({ commonName: 'node', keys: ecKeys(), issuer, serialNumber: 4 });
  const [certificatePath, keyPath] = [join(directory, 'node.pem'), join(directory, 'node.key')];
  await writeFile(certificatePath, leaf.pem);
  await writeFile(keyPath, leaf.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const attestor = await createAgentAttestor(
    'x509pop',
    { certificate_path: certificatePath, private_key_path: keyPath },
    { trustDomain, log: silentLog },
  );
  const { privateKey } = generateKeyPairSync('ec-p256');
  const csr = createCsr({ signer: signerOf(privateKey) });
  const { agent: client } = server.connectTls();
  const { chain } = await attestNode({ client, attestor, csr, again: false, signal: AbortSignal.timeout(30_000) });
  return { certificateChainPem: certificatesToPem(chain), privateKey };
}

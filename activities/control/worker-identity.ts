// The worker's own identity: a node key made where the worker runs, and an ordinary SPIRE agent that attests with it (x509pop). The key never
// leaves this directory; what travels is the certificate of the authority that signed for it, and that authority's key is thrown away.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import type { WorkerNode } from '../boot/server.ts';
import { serverPort } from '../plan.ts';
import { workerPath } from '../spec/identities.ts';
import { issueNodeCertificates, nodeAgentId } from './node-certificates.ts';

export interface WorkerIdentityOptions {
  /** Ours alone (0700): key, certificate, the agent's configuration and data. Whoever runs the agent starts it when `agent.conf` appears. */
  readonly directory: string;
  readonly socketPath: string;
  /** What attests the worker to that agent: `type:value`. */
  readonly selectors: readonly string[];
  readonly clock: () => number;
}

export interface AgentSettings {
  readonly trustDomain: string;
  readonly serverAddress: string;
  readonly bundlePem: string;
}

/** Makes the key once; afterwards the same certificate is answered. */
export async function ensureWorkerKey(
  { directory, selectors, clock }: WorkerIdentityOptions,
  trustDomain: string,
): Promise<WorkerNode> {
  const authorityPem =
    (await readIfThere(join(directory, 'authority.pem'))) ?? (await createNodeKey(directory, trustDomain, clock()));
  const [leaf] = certificatesFromPem(await readFile(join(directory, 'certificate.pem'), 'utf8'));
  if (leaf === undefined) throw new Error(`no certificate in ${directory}/certificate.pem`);
  return {
    certificatePem: authorityPem,
    agentId: nodeAgentId(trustDomain, leaf),
    spiffeId: `spiffe://${trustDomain}${workerPath}`,
    selectors,
  };
}

async function createNodeKey(directory: string, trustDomain: string, now: number): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { authorityPem, nodes } = await issueNodeCertificates(trustDomain, {
    commonName: `nodes of ${trustDomain}'s control plane`,
    paths: ['/espalier/control-plane-node'],
    now,
  });
  const [node] = nodes;
  if (node === undefined) throw new Error('no certificate was made for the control plane');
  await writeWhole(join(directory, 'key.pem'), node.keyPem, 0o600);
  await writeWhole(join(directory, 'certificate.pem'), node.certificatePem, 0o644);
  // Last: its presence says that the others are there.
  await writeWhole(join(directory, 'authority.pem'), authorityPem, 0o644);
  return authorityPem;
}

/** Writes what the worker's agent needs; `agent.conf` comes last, by rename, because its presence starts the agent. */
export async function writeAgentConfig(
  { directory, socketPath }: WorkerIdentityOptions,
  settings: AgentSettings,
): Promise<void> {
  await mkdir(join(directory, 'data'), { recursive: true, mode: 0o700 });
  await writeWhole(join(directory, 'bundle.pem'), settings.bundlePem, 0o644);
  const text = `# The control plane's own agent. Written by Espalier.
agent {
  data_dir = "${directory}/data"
  log_level = "info"
  trust_domain = "${settings.trustDomain}"
  server_address = "${settings.serverAddress}"
  server_port = ${serverPort}
  socket_path = "${socketPath}"
  trust_bundle_path = "${directory}/bundle.pem"
}
plugins {
  NodeAttestor "x509pop" { plugin_data { private_key_path = "${directory}/key.pem" certificate_path = "${directory}/certificate.pem" } }
  KeyManager "disk" { plugin_data { directory = "${directory}/data" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
`;
  const path = join(directory, 'agent.conf');
  if ((await readIfThere(path)) !== text) await writeWhole(path, text, 0o644);
}

/** Stops whoever runs the agent (its configuration is gone) and forgets the key. */
export async function removeWorkerFiles({ directory }: WorkerIdentityOptions): Promise<void> {
  await rm(join(directory, 'agent.conf'), { force: true });
  await rm(directory, { recursive: true, force: true });
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  });
}

async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, text, { mode });
  await rename(`${path}.new`, path);
}

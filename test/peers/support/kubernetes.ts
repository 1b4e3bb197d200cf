// A Kubernetes without nodes: the real API server on Debian's etcd, both on loopback, with RBAC and service account tokens. No kubelet runs, so pods
// stay as a test makes them, and no controller, unless a test starts them (kubernetes-controllers.ts). It ends with the test that started it.
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { ecKeys, makeCertificate } from '../../runtime/attest/certificates.ts';
import { eventually, freePort, start } from './processes.ts';
import type { Program } from './processes.ts';
import { prepareEtcd, prepareKubeApiserver } from './programs.ts';

export interface Kubernetes {
  readonly url: string;
  /** PEM of the CA of the API server, and of its clients. */
  readonly caPath: string;
  /** Of the key that signs the tokens of service accounts. */
  readonly accountKeyPath: string;
  /** With rights to everything. */
  readonly administrator: KubernetesUser;
  /** Somebody who has the rights that RBAC gives to that name and group, proven by a client certificate. */
  user(name: string, group?: string): KubernetesUser;
  /** A token that is signed with the key of service accounts, whatever it claims. */
  signAccountToken(claims: object): string;
  log(): string;
  stop(): Promise<void>;
}

export interface KubernetesUser {
  /** Path of a file with all that a client needs. */
  readonly kubeconfig: string;
  /** Throws a KubernetesRefusal unless the answer is 2xx. */
  call<T = unknown>(method: string, path: string, body?: unknown, options?: CallOptions): Promise<T>;
}

export interface CallOptions {
  /** Of the body; `application/apply-patch+yaml` is a server-side apply. */
  readonly contentType?: string;
}

/** What the API server said instead of doing it. */
export class KubernetesRefusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'KubernetesRefusal';
    this.status = status;
  }
}

const host = '127.0.0.1';
/** Where pods find the API server: the first of its Services' addresses, and where others' pods do (kubernetes-nodes). */
const addresses = [host, '10.96.0.1', '10.244.0.1'];
const startTimeoutMs = 120_000;

export async function startKubernetes(options: { readonly directory: string }): Promise<Kubernetes> {
  const [etcdProgram, apiserverProgram] = [await prepareEtcd(), await prepareKubeApiserver()];
  const directory = join(options.directory, 'kubernetes');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };

  const caKeys = ecKeys();
  const ca = makeCertificate({ commonName: 'kubernetes', keys: caKeys, ca: true });
  const caPath = write('ca.pem', ca.pem);
  let serialNumber = 1;
  const issue = (name: { commonName: string; organization?: string; ipv4?: readonly string[] }): Identity => {
    const keys = ecKeys();
    const { pem } = makeCertificate({ ...name, keys, issuer: ca, serialNumber: (serialNumber += 1) });
    return { certificate: pem, key: String(keys.privateKey.export({ format: 'pem', type: 'pkcs8' })) };
  };

  const port = await freePort();
  const url = `https://${host}:${port}`;
  const etcd = await startEtcd(etcdProgram, directory);
  const serving = issue({ commonName: 'kube-apiserver', ipv4: addresses });
  const accountKeys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const accountKey = write('accounts.key', String(accountKeys.privateKey.export({ format: 'pem', type: 'pkcs8' })));
  const accountPublicKey = write('accounts.pub', String(accountKeys.publicKey.export({ format: 'pem', type: 'spki' })));
  const apiserver = start(
    apiserverProgram,
    [
      `--etcd-servers=${etcd.url}`,
      `--bind-address=${host}`,
      `--secure-port=${port}`,
      `--tls-cert-file=${write('serving.pem', serving.certificate)}`,
      `--tls-private-key-file=${write('serving.key', serving.key)}`,
      `--client-ca-file=${caPath}`,
      `--service-account-issuer=${url}`,
      `--service-account-signing-key-file=${accountKey}`,
      `--service-account-key-file=${accountPublicKey}`,
      '--authorization-mode=Node,RBAC',
      // As kubeadm says it: what may be privileged is for the namespaces' pod security.
      '--allow-privileged=true',
      '--service-cluster-ip-range=10.96.0.0/16',
      // A service has no endpoints on loopback; nobody reaches this server by its service.
      '--endpoint-reconciler-type=none',
    ],
    { logPath: join(directory, 'kube-apiserver.log'), stopTimeoutMs: 90_000 },
  );

  const user = (name: string, group = 'nobody'): KubernetesUser => {
    const identity = issue({ commonName: name, organization: group });
    return {
      kubeconfig: write(`${name}.kubeconfig`, kubeconfigText({ url, caPath, user: name, identity })),
      call: async <T>(method: string, path: string, body?: unknown, { contentType }: CallOptions = {}) =>
        (await ask({ url: url + path, method, contentType, body, identity, ca: ca.pem })) as T,
    };
  };
  const administrator = user('administrator', 'system:masters');
  const kubernetes: Kubernetes = {
    url,
    caPath,
    accountKeyPath: accountKey,
    administrator,
    user,
    signAccountToken(claims) {
      const parts = [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) => base64url(JSON.stringify(part)));
      return [
        ...parts,
        sign('sha256', Buffer.from(parts.join('.')), accountKeys.privateKey).toString('base64url'),
      ].join('.');
    },
    log: () => apiserver.log(),
    async stop() {
      // In this order: an API server whose etcd is gone takes its time.
      await apiserver.stop();
      await etcd.program.stop();
    },
  };
  const isReady = () => administrator.call('GET', '/readyz');
  await eventually('the API server is ready', isReady, startTimeoutMs, () => {
    etcd.program.checkRunning();
    apiserver.checkRunning();
  }).catch(async (cause: unknown) => {
    const log = apiserver.log();
    await kubernetes.stop();
    throw new Error(`kube-apiserver is not ready:\n${log}`, { cause });
  });
  return kubernetes;
}

async function startEtcd(command: string, directory: string): Promise<{ url: string; program: Program }> {
  const [client, peer] = [`http://${host}:${await freePort()}`, `http://${host}:${await freePort()}`];
  const flags = [
    ['data-dir', join(directory, 'etcd')],
    ['listen-client-urls', client],
    ['advertise-client-urls', client],
    ['listen-peer-urls', peer],
    ['initial-advertise-peer-urls', peer],
    ['initial-cluster', `default=${peer}`],
    ['logger', 'zap'],
  ];
  const program = start(
    command,
    flags.map(([name = '', value = '']) => `--${name}=${value}`),
    { logPath: join(directory, 'etcd.log') },
  );
  return { url: client, program };
}

interface Identity {
  readonly certificate: string;
  readonly key: string;
}

interface Access {
  readonly url: string;
  readonly caPath: string;
  readonly user: string;
  readonly identity: Identity;
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url');

/** YAML may be written as JSON. */
function kubeconfigText({ url, caPath, user, identity }: Access): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const credentials = {
    'client-certificate-data': base64(identity.certificate),
    'client-key-data': base64(identity.key),
  };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user } }],
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': caPath } }],
    users: [{ name: user, user: credentials }],
  });
}

interface Question {
  readonly url: string;
  readonly method: string;
  readonly contentType: string | undefined;
  readonly body: unknown;
  readonly identity: Identity;
  readonly ca: string;
}

/** The JSON that came back, or its text. */
function ask({ url, method, contentType = 'application/json', body, identity, ca }: Question): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const tls = { cert: identity.certificate, key: identity.key, ca };
    const text = body === undefined ? '' : JSON.stringify(body);
    // The length too: of a DELETE's body Node says none by itself, and the API server then reads nothing.
    const sent = { 'content-type': contentType, 'content-length': Buffer.byteLength(text) };
    const headers = { accept: 'application/json', ...(body === undefined ? {} : sent) };
    const signal = AbortSignal.timeout(30_000);
    const asked = request(url, { ...tls, method, headers, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const status = response.statusCode ?? 0;
        if (status < 200 || status > 299) reject(new KubernetesRefusal(status, `${method} ${url}: ${status} ${text}`));
        else resolve(response.headers['content-type']?.startsWith('application/json') ? JSON.parse(text) : text);
      });
    });
    asked.on('error', reject);
    asked.end(text);
  });
}

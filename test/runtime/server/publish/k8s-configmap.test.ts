// The bundle publisher "k8s_configmap" against a STAND-IN for the API server: what it sends and what it refuses. What the real one makes of it is in
// test/peers.
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseHcl } from '../../../../runtime/hcl/parse.ts';
import { createLog } from '../../../../runtime/log.ts';
import { certificatesFromPem } from '../../../../runtime/pki/pem.ts';
import { createK8sConfigmapPublisher } from '../../../../runtime/server/publish/k8s-configmap.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { ecKeys, makeCertificate } from '../../attest/certificates.ts';
import { startHttpService } from '../../attest/http-service.ts';
import type { Answer, HttpService } from '../../attest/http-service.ts';

const ca = makeCertificate({ commonName: 'cluster', keys: ecKeys(), ca: true });
const serving = makeCertificate({ commonName: 'api', keys: ecKeys(), issuer: ca, ipv4: '127.0.0.1' });
const root = makeCertificate({ commonName: 'root', keys: ecKeys(), ca: true });
const jwtKey = new Uint8Array(ecKeys().publicKey.export({ format: 'der', type: 'spki' }));
const bundle = {
  ...emptyBundle(parseTrustDomain('example.org')),
  x509Authorities: [{ asn1: root.der }],
  jwtAuthorities: [{ keyId: 'key-1', publicKey: jwtKey, expiresAt: 0 }],
  sequenceNumber: 7,
};

let directory: string;
let kubeconfig: string;
let cluster: HttpService;
let answer: (url: string) => Answer;
const lines: string[] = [];
const log = createLog({ level: 'debug', format: 'text', write: (line) => void lines.push(line) });

beforeAll(async () => {
  const key = String(serving.keys.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  cluster = await startHttpService(({ url }) => answer(url), { key, cert: serving.pem });
  directory = mkdtempSync(join(tmpdir(), 'k8s-configmap-'));
  kubeconfig = join(directory, 'kubeconfig');
  const access = { server: cluster.url, 'certificate-authority-data': Buffer.from(ca.pem).toString('base64') };
  const text = JSON.stringify({
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'here', user: 'server' } }],
    clusters: [{ name: 'here', cluster: access }],
    users: [{ name: 'server', user: { token: 'what-the-server-shows' } }],
  });
  writeFileSync(kubeconfig, text);
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await cluster.close();
});
beforeEach(() => {
  cluster.requests.length = 0;
  lines.length = 0;
  answer = () => ({ headers: { 'content-type': 'application/json' }, body: '{"kind": "ConfigMap"}' });
});

const clusterHcl = (name: string, more = '', format = 'spiffe', namespace = 'spire') => `"${name}" = {
  namespace = "${namespace}" configmap_name = "trust" configmap_key = "bundle.json"
  format = "${format}" kubeconfig_path = "${kubeconfig}" ${more}
}`;
const publisher = (...clusters: readonly string[]) =>
  createK8sConfigmapPublisher(parseHcl(`clusters = { ${clusters.join('\n')} }`), { log, env: {} });
const { signal } = new AbortController();

interface Sent {
  readonly kind: string;
  readonly metadata: object;
  readonly data: Readonly<Record<string, string>>;
}
const sent = (): Sent[] => cluster.requests.map(({ body }) => JSON.parse(body) as Sent);

test('applies the bundle under its key, as a manager of its own that takes nothing from others', async () => {
  await publisher(clusterHcl('a')).publish(bundle, signal);
  const [request, ...others] = cluster.requests;
  expect(others).toEqual([]);
  expect(request).toMatchObject({
    method: 'PATCH',
    url: '/api/v1/namespaces/spire/configmaps/trust?fieldManager=spire-bundlepublisher-k8s_configmap',
    headers: { 'content-type': 'application/apply-patch+yaml', authorization: 'Bearer what-the-server-shows' },
  });
  expect(sent()).toMatchObject([{ kind: 'ConfigMap', metadata: { name: 'trust', namespace: 'spire' } }]);
  const { keys, ...rest } = JSON.parse(sent()[0]?.data['bundle.json'] ?? '') as { keys: object[] };
  expect(rest).toEqual({ spiffe_sequence: 7 });
  expect(keys).toMatchObject([
    { use: 'x509-svid', x5c: [Buffer.from(root.der).toString('base64')] },
    { use: 'jwt-svid', kid: 'key-1' },
  ]);
  expect(lines.join()).toContain('Bundle published to Kubernetes ConfigMap');
});

test('writes the other formats, and a refresh hint of its own', async () => {
  await publisher(
    clusterHcl('a', 'refresh_hint = "90s"'),
    clusterHcl('b', '', 'JWKS'),
    clusterHcl('c', '', 'pem'),
  ).publish(bundle, signal);
  const texts = sent().map(({ data }) => data['bundle.json'] ?? '');
  const hinted = texts.find((text) => text.includes('spiffe_refresh_hint')) ?? '{}';
  expect(JSON.parse(hinted)).toMatchObject({ spiffe_refresh_hint: 90 });
  const keySet = texts.find((text) => !text.includes('spiffe_sequence') && text.includes('keys')) ?? '{}';
  const { keys, ...rest } = JSON.parse(keySet) as { keys: object[] };
  expect(rest).toEqual({});
  expect(keys.map((key) => Object.keys(key).sort())).toEqual([
    ['crv', 'kty', 'x', 'x5c', 'y'],
    ['crv', 'kid', 'kty', 'x', 'y'],
  ]);
  const pem = texts.find((text) => text.startsWith('-----')) ?? '';
  expect(certificatesFromPem(pem).map((der) => new X509Certificate(der).subject)).toEqual([
    new X509Certificate(root.der).subject,
  ]);
});

test('publishes to one cluster where another refuses, and says which', async () => {
  answer = (url) =>
    url.includes('/namespaces/closed/')
      ? {
          status: 409,
          headers: { 'content-type': 'application/json' },
          body: '{"message": "conflict with \\"kubectl\\""}',
        }
      : { headers: { 'content-type': 'application/json' }, body: '{}' };
  const two = publisher(clusterHcl('a', '', 'pem', 'closed'), clusterHcl('b'));
  await expect(two.publish(bundle, signal)).rejects.toThrow(
    /^failed to apply ConfigMap for cluster "a": status 409: .*conflict with/,
  );
  expect(cluster.requests).toHaveLength(2);
});

test('ends when it is told to', async () => {
  const closing = AbortSignal.abort(new Error('closing'));
  await expect(publisher(clusterHcl('a')).publish(bundle, closing)).rejects.toThrow(/cluster "a": /);
  expect(cluster.requests).toEqual([]);
});

test.each([
  ['without a kubeconfig, outside of a pod', (text: string) => text.replace(kubeconfig, ''), /not in a pod/],
  ['without its kubeconfig', (text: string) => text.replace(kubeconfig, `${kubeconfig}-none`), /no such file/],
])('does not publish %s', async (_, change, message) => {
  await expect(publisher(change(clusterHcl('a'))).publish(bundle, signal)).rejects.toThrow(message);
});

test.each([
  ['a format that nobody knows', clusterHcl('a', '', 'der'), /format: must be spiffe, jwks or pem/],
  ['a namespace that is a path', clusterHcl('a', '', 'pem', '..'), /namespace: must be a name/],
  ['a hint that is no duration', clusterHcl('a', 'refresh_hint = "soon"'), /refresh_hint/],
  ['a key that nobody knows', clusterHcl('a', 'kube_config_file = "x"'), /unknown key "kube_config_file"/],
  ['nothing', '"a" = { }', /format.*namespace.*configmap_name.*configmap_key/],
])('is not configured with %s', (_, hcl, message) => {
  expect(() => publisher(hcl)).toThrow(message);
});

test('says that it publishes nothing, where no cluster is named', async () => {
  await publisher().publish(bundle, signal);
  expect(lines.join()).toContain('No clusters configured, bundle will not be published');
});

// Bundles in ConfigMaps of a real API server: what our server puts there and what SPIRE's does, in each format, and what a rotation makes of it.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { allow, createNamespace } from './support/kubernetes-pods.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually } from './support/processes.ts';
import { prepareSpireServer } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
const namespace = 'spire';
const formats = ['spiffe', 'jwks', 'pem'] as const;
const names = ['ours', 'theirs'] as const;
let kubernetes: Kubernetes;
const servers = new Map<string, SpireServer>();

interface ConfigMap {
  readonly metadata: { readonly managedFields: readonly { readonly manager: string; readonly operation: string }[] };
  readonly data: Readonly<Record<string, string>>;
}
interface KeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

const pathOf = (configMap: string): string => `/api/v1/namespaces/${namespace}/configmaps/${configMap}`;
const configMapOf = (name: string, format: string) =>
  kubernetes.administrator.call<ConfigMap>('GET', pathOf(`${name}-${format}`));
const textOf = async (name: string, format: string): Promise<string> =>
  (await configMapOf(name, format)).data['bundle'] ?? '';
const serverOf = (name: string): SpireServer => {
  const server = servers.get(name);
  if (server === undefined) throw new Error(`no server is ${name}`);
  return server;
};

beforeAll(async () => {
  const command = await prepareSpireServer();
  kubernetes = stage.add(await startKubernetes(stage));
  await createNamespace(kubernetes, namespace, []);
  await allow(kubernetes, 'publisher', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'get', 'patch'] },
  ]);
  const { kubeconfig } = kubernetes.user('publisher');
  for (const name of names) {
    const clusters = formats.map(
      (format) => `"${format}" = {
        namespace = "${namespace}" configmap_name = "${name}-${format}" configmap_key = "bundle"
        format = "${format}" refresh_hint = "2m" kubeconfig_path = "${kubeconfig}"
      }`,
    );
    const plugins = `BundlePublisher "k8s_configmap" { plugin_data { clusters = { ${clusters.join('\n')} } } }`;
    servers.set(name, await stage.server({ name, plugins, ...(name === 'theirs' && { command }) }));
  }
});
afterAll(() => stage.strike());

describe.each(names)('the server that is %s', (name) => {
  it('publishes its bundle in each format', async () => {
    const bundle = await serverOf(name).bundlePem();
    // SPIRE's may come to it half a minute later.
    await eventually('all ConfigMaps are there', () => Promise.all(formats.map((f) => configMapOf(name, f))), 60_000);
    expect(certificatesFromPem(await textOf(name, 'pem'))).toEqual(certificatesFromPem(bundle));
    const { metadata } = await configMapOf(name, 'pem');
    expect(metadata.managedFields).toMatchObject([
      { manager: 'spire-bundlepublisher-k8s_configmap', operation: 'Apply' },
    ]);
  });

  it('publishes a new authority', async () => {
    await serverOf(name).operate('localauthority', 'x509', 'prepare');
    await eventually(
      'the new authority is there',
      async () => {
        const count = certificatesFromPem(await textOf(name, 'pem')).length;
        if (count !== 2) throw new Error(`${count} authorities`);
      },
      60_000,
    );
    const { keys } = JSON.parse(await textOf(name, 'spiffe')) as KeySet;
    expect(keys.filter(({ use }) => use === 'x509-svid')).toHaveLength(2);
  });
});

it('both write the same document, but for keys and numbers', async () => {
  const shapeOf = (text: string) => {
    const { keys, ...rest } = JSON.parse(text) as KeySet & Readonly<Record<string, unknown>>;
    const shapes = keys.map((key) => `${String(key['kty'])} ${Object.keys(key).sort().join()}`);
    return { keys: [...new Set(shapes)].sort(), rest: Object.keys(rest).sort(), hint: rest['spiffe_refresh_hint'] };
  };
  for (const format of ['spiffe', 'jwks'])
    expect(shapeOf(await textOf('ours', format))).toEqual(shapeOf(await textOf('theirs', format)));
  const pemOf = async (name: string) =>
    (await textOf(name, 'pem')).replaceAll(/[A-Za-z0-9+/=]{20,}/g, '').replaceAll('\n', '');
  expect(await pemOf('ours')).toBe(await pemOf('theirs'));
  for (const name of names) {
    const areCas = certificatesFromPem(await textOf(name, 'pem')).map((der) => new X509Certificate(der).ca);
    expect(areCas).toEqual([true, true]);
  }
});

it('what somebody else holds in the ConfigMap stays, and so does what he holds under the key', async () => {
  const { administrator } = kubernetes;
  const apply = { contentType: 'application/apply-patch+yaml' };
  const held = (data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', data });
  const path = `${pathOf('ours-pem')}?fieldManager=somebody`;
  await administrator.call('PATCH', path, held({ other: 'mine' }), apply);
  await administrator.call('PATCH', `${path}-else&force=true`, held({ bundle: 'mine too' }), apply);
  await serverOf('ours').operate('localauthority', 'x509', 'activate', '-authorityID', await prepared());
  await serverOf('ours').operate('localauthority', 'x509', 'taint', '-authorityID', await old());
  await serverOf('ours').operate('localauthority', 'x509', 'revoke', '-authorityID', await old());
  await eventually('the conflict is in the log', () => {
    if (!serverOf('ours').log().includes('conflict with')) throw new Error('not yet');
  });
  const { keys } = JSON.parse(await eventually('the others go on', fewer)) as KeySet;
  expect(keys.filter(({ use }) => use === 'x509-svid')).toHaveLength(1);
  expect((await configMapOf('ours', 'pem')).data).toEqual({ bundle: 'mine too', other: 'mine' });
});

async function authorityId(state: string): Promise<string> {
  const said = await serverOf('ours').operate('localauthority', 'x509', 'show', '-output', 'json');
  const authority = (JSON.parse(said) as Record<string, { authority_id: string } | undefined>)[state];
  if (authority === undefined) throw new Error(`no authority is ${state}: ${said}`);
  return authority.authority_id;
}
const prepared = () => authorityId('prepared');
const old = () => authorityId('old');

async function fewer(): Promise<string> {
  const text = await textOf('ours', 'spiffe');
  const count = (JSON.parse(text) as KeySet).keys.filter(({ use }) => use === 'x509-svid').length;
  if (count !== 1) throw new Error(`${count} authorities`);
  return text;
}

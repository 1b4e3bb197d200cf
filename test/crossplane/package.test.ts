// The packages as an OCI tool reads them: every descriptor's digest and size is that of its blob, the layer is a gzipped tar that `tar` reads, and what
// is in it is what Crossplane installs. Examples and the providers' set-up are held against their schemas.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parseAllDocuments } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackages, packages } from '../../crossplane/package/build.ts';
import { tarOf } from '../../crossplane/package/tar.ts';
import { runFunction } from '../../crossplane/functions/run-function.ts';
import { RunFunctionRequest } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { folders, ownDefinitionOf } from '../support/composite-definitions.ts';
import { faultsOf } from '../support/custom-resources.ts';
import type { KubernetesObject } from '../support/custom-resources.ts';

const root = join(import.meta.dirname, '../../crossplane');
let directory: string;
let digests: Map<string, string>;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'packages-'));
  digests = buildPackages(directory);
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: object;
}

const sha256 = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`;
const documents = (text: string): KubernetesObject[] =>
  parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);

describe.each(Object.entries(packages))('the package %s', (name, family) => {
  const blob = ({ digest, size }: Descriptor): Buffer => {
    const content = readFileSync(join(directory, name, 'blobs/sha256', digest.replace('sha256:', '')));
    expect([sha256(content), content.length]).toEqual([digest, size]);
    return content;
  };
  const json = (descriptor: Descriptor): unknown => JSON.parse(blob(descriptor).toString());
  const read = () => {
    const index = JSON.parse(readFileSync(join(directory, name, 'index.json'), 'utf8')) as { manifests: [Descriptor] };
    const manifest = json(index.manifests[0]) as { config: Descriptor; layers: [Descriptor] };
    return { index, manifest, layer: blob(manifest.layers[0]) };
  };

  it('has every blob under its digest, and no other', () => {
    const { index, manifest } = read();
    expect(index.manifests).toHaveLength(1);
    expect(index.manifests[0].digest).toBe(digests.get(name));
    const named = [index.manifests[0], manifest.config, ...manifest.layers].map(({ digest }) =>
      digest.replace('sha256:', ''),
    );
    expect(readdirSync(join(directory, name, 'blobs/sha256')).sort()).toEqual(named.sort());
    expect(JSON.parse(readFileSync(join(directory, name, 'oci-layout'), 'utf8'))).toEqual({
      imageLayoutVersion: '1.0.0',
    });
  });

  it('marks its layer as Crossplane looks for it, in the manifest and in the labels', () => {
    const { manifest, layer } = read();
    expect(manifest.layers[0].annotations).toEqual({ 'io.crossplane.xpkg': 'base' });
    expect(json(manifest.config)).toMatchObject({
      config: { Labels: { [`io.crossplane.xpkg:${manifest.layers[0].digest}`]: 'base' } },
      rootfs: { diff_ids: [sha256(gunzipSync(layer))] },
    });
  });

  it('holds a file that tar reads, with every definition and composition', () => {
    const { layer } = read();
    expect(execFileSync('tar', ['-tzf', '-'], { input: layer, encoding: 'utf8' })).toBe('package.yaml\n');
    const [meta, ...objects] = documents(
      execFileSync('tar', ['-xzOf', '-', 'package.yaml'], { input: layer, encoding: 'utf8' }),
    );
    expect(meta).toMatchObject({ apiVersion: 'meta.pkg.crossplane.io/v1', kind: 'Configuration', metadata: { name } });
    expect(objects.map(({ kind }) => kind)).toEqual(
      folders(family).flatMap(() => ['CompositeResourceDefinition', 'Composition']),
    );
    expect(objects.flatMap((object) => faultsOf(object))).toEqual([]);
  });

  it('depends on the provider of every group that is built', () => {
    const meta = documents(readFileSync(join(root, family, 'crossplane.yaml'), 'utf8'))[0] as unknown as {
      spec: { dependsOn: { package: string }[] };
    };
    const wanted = readdirSync(join(import.meta.dirname, 'golden'))
      .flatMap((file) => [
        ...readFileSync(join(import.meta.dirname, 'golden', file), 'utf8').matchAll(
          /apiVersion: (?:(\w+)\.)?(aws|gcp|azure)\./g,
        ),
      ])
      // What has no group of its own is of the provider that all of a cloud's share.
      .map(([, group, cloud]) => (group === undefined ? `provider-family-${cloud}` : `provider-${cloud}-${group}`));
    expect(meta.spec.dependsOn.map(({ package: path }) => path.split('/').at(-1)).sort()).toEqual(
      [...new Set(wanted)].sort(),
    );
  });

  it('is the same bytes when it is built again', () => {
    const again = mkdtempSync(join(tmpdir(), 'packages-'));
    expect(buildPackages(again)).toEqual(digests);
    rmSync(again, { recursive: true });
  });
});

it('refuses a file name that no tar header holds', () => {
  expect(() => tarOf(new Map([['a'.repeat(101), '']]))).toThrow('file name is too long for a tar header');
});

it.each(readdirSync(join(root, 'examples')))('the example %s holds, and the function builds it', (file) => {
  const [example] = documents(readFileSync(join(root, 'examples', file), 'utf8'));
  expect(faultsOf(example!, ownDefinitionOf(example!))).toEqual([]);
  const request = RunFunctionRequest.fromPartial({
    observed: { composite: { resource: example as Record<string, unknown> } },
  });
  expect(Object.keys(runFunction(request).desired?.resources ?? {}).length).toBeGreaterThan(10);
});

describe.each(readdirSync(join(root, 'providers')))('the set-up %s', (file) => {
  const text = readFileSync(join(root, 'providers', file), 'utf8');
  const objects = documents(text);
  const configurations = objects.filter(({ kind }) => kind.endsWith('ProviderConfig'));

  it('holds', () => {
    // The cluster's configuration has the schema of the namespaced one. Of Azure's there is none among the definitions.
    const known = file === 'azure.yaml' ? objects.filter((object) => !configurations.includes(object)) : objects;
    const namespaced = known.map((object) => ({ ...object, kind: object.kind.replace(/^Cluster/, '') }));
    expect(namespaced.flatMap((object) => faultsOf(object))).toEqual([]);
    expect(objects).toHaveLength(3);
  });

  it('names no key, and the identity that the cluster gives to the provider', () => {
    const sources = configurations.map(({ spec }) => (spec as { credentials: unknown }).credentials);
    const source = { 'aws.yaml': 'IRSA', 'gcp.yaml': 'InjectedIdentity', 'azure.yaml': 'OIDCTokenFile' }[file];
    expect(sources).toEqual([{ source }, { source }]);
    expect(text).not.toMatch(/secretRef|source: Secret/);
  });
});

// Crossplane's objects before the API server that judges them in earnest: everything that the function builds is taken by server-side dry run with
// strict validation, and specifications that are broken are refused by our definitions, with a message that names the field.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Flavour, Json } from '../../crossplane/functions/composed.ts';
import { runFunction } from '../../crossplane/functions/run-function.ts';
import { requestFor } from '../crossplane/requests.ts';
import { cases } from '../crossplane/specs.ts';
import {
  compositeDefinition,
  folders,
  readYaml,
  toCustomResourceDefinitions,
} from '../support/composite-definitions.ts';
import type { Family } from '../support/composite-definitions.ts';
import { definitionFiles } from '../support/custom-resources.ts';
import type { Definition, KubernetesObject } from '../support/custom-resources.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually } from './support/processes.ts';
import { createStage } from './support/stage.ts';

const namespace = 'trust';
const stage = createStage();
let kubernetes: Kubernetes;
const paths = new Map<string, string>();

const call = <T = unknown>(
  method: string,
  path: string,
  body?: unknown,
  options?: { contentType: string },
): Promise<T> => kubernetes.administrator.call<T>(method, path, body, options);

async function install(definition: Definition): Promise<void> {
  const { group, names, scope, versions } = definition.spec;
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  await call('POST', path, definition);
  await eventually(`${names.plural}.${group} is established`, async () => {
    const { status } = await call<{ status?: unknown }>('GET', `${path}/${names.plural}.${group}`);
    const established: unknown = expect.objectContaining({ type: 'Established', status: 'True' });
    expect(status).toMatchObject({ conditions: expect.arrayContaining([established]) as unknown });
  });
  const place = scope === 'Namespaced' ? `namespaces/${namespace}/` : '';
  for (const version of versions)
    paths.set(`${group}/${version.name} ${names.kind}`, `/apis/${group}/${version.name}/${place}${names.plural}`);
}

/** Server-side apply as a dry run: nothing stays, everything is judged. */
function apply(object: KubernetesObject, name: string, dryRun = true): Promise<unknown> {
  const path = paths.get(`${object.apiVersion} ${object.kind}`);
  if (path === undefined) throw new Error(`not installed: ${object.apiVersion} ${object.kind}`);
  const query = `fieldManager=test&force=true&fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
  return call(
    'PATCH',
    `${path}/${name}?${query}`,
    { ...object, metadata: { ...object.metadata, name } },
    { contentType: 'application/apply-patch+yaml' },
  );
}

beforeAll(async () => {
  kubernetes = stage.add(await startKubernetes(stage));
  await call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const foreign = definitionFiles().map((path) => parse(readFileSync(path, 'utf8')) as Definition);
  const ours = (['apis', 'legacy'] as const).flatMap((family) =>
    folders(family).flatMap((folder) => toCustomResourceDefinitions(compositeDefinition(family, folder))),
  );
  const pending = [...foreign, ...ours];
  await Promise.all(
    [0, 1, 2, 3].map(async () => {
      for (let next = pending.pop(); next !== undefined; next = pending.pop()) await install(next);
    }),
  );
});
afterAll(() => stage.strike());

describe.each(cases)('$name', ({ name, ...given }) => {
  const { kind, spec } = given;
  it.each<Flavour>(['namespaced', 'legacy'])('is taken, and all that is built of it, %s', async (flavour) => {
    const apiVersion = `${flavour === 'legacy' ? 'legacy.' : ''}espalier.io/v1alpha1`;
    await apply({ apiVersion, kind, spec }, name);
    const resources = runFunction(requestFor(given, flavour)).desired!.resources;
    expect(Object.keys(resources).length).toBeGreaterThan(0);
    for (const [index, { resource }] of Object.values(resources).entries())
      await apply(resource as unknown as KubernetesObject, `${name}-${index}`);
  });
});

it('takes our definitions and compositions as Crossplane has them', async () => {
  for (const family of ['apis', 'legacy'] satisfies Family[])
    for (const folder of folders(family))
      for (const file of ['definition.yaml', 'composition.yaml']) {
        const object = readYaml(family, folder, file);
        await apply(object, object.metadata.name);
      }
});

const specOf = (name: string): Json => cases.find((each) => each.name === name)!.spec;

const cluster = { name: 'shop', platform: 'onprem', image: 'espalier-runtime:0.1.0' };
const shortSegments = (specOf('trust-domain')['segments'] as Json[]).map((each) => ({ ...each, intermediateTtl: '4h' })); // prettier-ignore

describe('a broken specification is refused, and the field is named', () => {
  it.each([
    ['SpireNetwork', 'network-aws', { colour: 'red' }, 'spec.colour'],
    ['SpireNetwork', 'network-aws', { region: 'Mars' }, 'spec.region'],
    ['SpireNetwork', 'network-aws', { cloud: 'moon' }, 'spec.cloud'],
    ['SpireNetwork', 'network-aws', { cidr: '10.1.0.0/99' }, 'spec.cidr'],
    ['SpireNetwork', 'network-aws', { zones: ['a'] }, 'spec.zones'],
    ['SpireNetwork', 'network-aws', { workloadCidrs: ['everywhere'] }, 'spec.workloadCidrs[0]'],
    ['SpireNetwork', 'network-gcp', { workloadCidrs: ['10.1.0.0/99'] }, 'workloadCidrs must be networks'],
    ['SpireDatastore', 'datastore-gcp', { project: undefined }, 'project is needed in gcp'],
    ['SpireDatastore', 'datastore-gcp', { passwordSecretRef: undefined }, 'passwordSecretRef is needed in gcp'],
    ['SpireDatastore', 'datastore-aws', { storageGigabytes: 1 }, 'spec.storageGigabytes'],
    ['SpireDatastore', 'datastore-aws', { version: '9' }, 'spec.version'],
    ['SpireDnsZone', 'dns-zone-aws', { domain: 'nowhere' }, 'spec.domain'],
    ['SpireServerPool', 'server-pool-aws', { account: undefined }, 'account is needed in aws'],
    ['SpireServerPool', 'server-pool-aws', { servers: 10 }, 'spec.servers'],
    [
      'SpireServerPool',
      'server-pool-aws',
      { bootScript: 'BEGIN PRIVATE KEY' },
      'bootScript must not hold a private key',
    ],
    [
      'SpireServerPool',
      'server-pool-aws',
      { bootScript: 'A=postgres://spire:secret@db/spire' },
      'bootScript must not hold an address with a password',
    ],
    ['SpireTrustDomain', 'trust-domain', { ttl: { x509Svid: '3h' } }, 'at least 6 times ttl.x509Svid'],
    ['SpireTrustDomain', 'trust-domain', { ttl: { root: '24h' } }, 'at least 6 times segments[].intermediateTtl'],
    ['SpireTrustDomain', 'trust-domain', { ttl: { root: 'long' } }, 'spec.ttl.root'],
    ['SpireTrustDomain', 'trust-domain', { aws: undefined }, 'aws is needed, as servers are in aws'],
    ['SpireTrustDomain', 'trust-domain', { segments: [] }, 'spec.segments'],
    ...[
      [{ name: 'Shop' }, 'spec.clusters[0].name'],
      [{ name: 'gcp' }, 'spec.clusters: Invalid value: a cluster has a name that no segment has'],
      [{ name: 'upstream' }, 'spec.clusters[0].name: Invalid value: upstream is the name of the tier above'],
      [{ platform: 'moon' }, 'spec.clusters[0].platform'],
      [{ platform: undefined }, 'spec.clusters[0].platform: Required value'],
      [{ context: 'a b' }, 'spec.clusters[0].context'],
      [{ servers: 10 }, 'spec.clusters[0].servers'],
      [{ image: 'espalier-runtime' }, 'spec.clusters[0].image'],
      [{ image: 'espalier-runtime:latest' }, 'spec.clusters[0].image: Invalid value: image must have a tag that stays'],
      [{ image: undefined }, 'spec.clusters[0].image: Required value'],
      [{ storageClass: 'Fast' }, 'spec.clusters[0].storageClass'],
      [{ expose: 'Ingress' }, 'spec.clusters[0].expose'],
      [{ colour: 'red' }, 'colour: field not declared in schema'],
      [{ intermediateTtl: '12' }, 'spec.clusters[0].intermediateTtl'],
      [{ intermediateTtl: '5h' }, 'at least 6 times clusters[].intermediateTtl'],
      [{ intermediateTtl: '4m' }, 'clusters[].intermediateTtl must be at least 6 times ttl.x509Svid'],
    ].map(([change, message]) => ['SpireTrustDomain', 'trust-domain', { ttl: { root: '24h' }, segments: shortSegments, clusters: [{ ...cluster, ...(change as object) }] }, message] as [string, string, object, string]), // prettier-ignore
    [
      'SpireTrustDomain',
      'trust-domain',
      { ttl: { jwtSvid: '3h' }, clusters: [cluster] },
      'clusters[].intermediateTtl must be at least 6 times ttl.jwtSvid',
    ],
    ['SpireTrustDomain', 'trust-domain', { clusters: [] }, 'spec.clusters'],
    ['SpireTrustDomain', 'trust-domain', { clusters: [cluster, cluster] }, 'spec.clusters: duplicate entries for key'],
    [
      'SpireTrustDomain',
      'trust-domain',
      { clusters: [cluster, { ...cluster, name: 'bank' }] },
      'clusters[].context must be another for each',
    ],
    ['SpireNodePool', 'node-pool-aws', { image: undefined }, 'image is needed for machines'],
    ['SpireNodePool', 'node-pool-gke', { kubernetesVersion: 'new' }, 'spec.kubernetesVersion'],
    [
      'SpireNetwork',
      'network-azure',
      { region: 'west-europe' },
      'spec.region: Invalid value: region must be one of the same cloud, not west-europe',
    ],
    [
      'SpireNetwork',
      'network-aws',
      { region: 'westeurope' },
      'spec.region: Invalid value: region must be one of the same cloud, not westeurope',
    ],
    ['SpireDatastore', 'datastore-azure', { passwordSecretRef: undefined }, 'passwordSecretRef is needed in azure'],
    ['SpireDatastore', 'datastore-azure', { privateDnsZoneId: undefined }, 'privateDnsZoneId is needed in azure'],
    ['SpireDatastore', 'datastore-azure', { privateDnsZoneId: 'zone' }, 'spec.privateDnsZoneId'],
    ['SpireDatastore', 'datastore-azure', { backupDays: 1 }, 'backupDays is at least 7 in azure'],
    ['SpireServerPool', 'server-pool-azure', { subscription: undefined }, 'subscription is needed in azure'],
    ['SpireServerPool', 'server-pool-azure', { subscription: 'mine' }, 'spec.subscription'],
    ['SpireServerPool', 'server-pool-azure', { sshPublicKey: undefined }, 'sshPublicKey is needed in azure'],
    ['SpireServerPool', 'server-pool-azure', { sshPublicKey: 'BEGIN PRIVATE KEY' }, 'spec.sshPublicKey'],
    ['SpireServerPool', 'server-pool-azure-full', { vaultId: undefined }, 'vaultId is needed for secrets in azure'],
    ['SpireNodePool', 'node-pool-azure', { platform: 'kubernetes' }, 'platform is machines in azure'],
    ['SpireNodePool', 'node-pool-azure', { nodes: 1001 }, 'nodes are at most 1000 in azure'],
    ['SpireIdentity', 'identity-azure', { region: undefined }, 'region is needed in azure'],
    ['SpireIdentity', 'identity-azure', { vaultId: undefined }, 'vaultId is needed for secrets in azure'],
    ['SpireDnsZone', 'dns-zone-aws', { cloud: 'azure' }, 'spec.cloud'],
    ['SpireMachine', 'machine-aws', { cloud: 'azure' }, 'spec.cloud'],
    ['SpireTrustDomain', 'trust-domain', { upstream: { cloud: 'azure' } }, 'spec.upstream.cloud: Unsupported value'],
  ])('%s, %s with %j', async (kind, base, change, message) => {
    for (const apiVersion of ['espalier.io/v1alpha1', 'legacy.espalier.io/v1alpha1'])
      await expect(apply({ apiVersion, kind, spec: { ...specOf(base), ...change } }, 'broken')).rejects.toThrow(
        message,
      );
  });

  it.each([
    ['SpireNetwork', 'network-aws', { cidr: '10.9.0.0/16' }, 'cidr is immutable'],
    ['SpireNetwork', 'network-aws', { region: 'us-east-2' }, 'region is immutable'],
    ['SpireNetwork', 'network-aws', { trustDomain: 'other.org' }, 'trustDomain is immutable'],
    ['SpireDatastore', 'datastore-aws', { networkRef: { name: 'other' } }, 'networkRef is immutable'],
    ['SpireDatastore', 'datastore-aws', { version: '15' }, 'version must not go down'],
    ['SpireDnsZone', 'dns-zone-aws', { domain: 'other.internal' }, 'domain is immutable'],
    ['SpireTrustDomain', 'trust-domain', { trustDomain: 'other.org' }, 'trustDomain is immutable'],
    ['SpireTrustDomain', 'trust-domain', { upstream: { region: 'us-east1' } }, 'cloud and region are immutable'],
    ...[
      [{ platform: 'aws' }, 'spec.clusters[0]: Invalid value: platform and context are immutable'],
      [{ context: 'other' }, 'spec.clusters[0]: Invalid value: platform and context are immutable'],
      [{ name: 'store' }, 'spec.clusters: Invalid value: clusters[].name is immutable'],
      [{ name: 'vault', context: undefined }, 'spec.clusters: Invalid value: clusters[].name is immutable'],
    ].map(([change, message]) => ['SpireTrustDomain', 'trust-domain-clustered', { clusters: [{ ...cluster, context: 'shop', ...(change as object) }] }, message] as [string, string, object, string]), // prettier-ignore
    ['SpireNodePool', 'node-pool-aws', { platform: 'kubernetes' }, 'platform is immutable'],
  ])('%s, %s that becomes %j', async (kind, base, change, message) => {
    const object = { apiVersion: 'espalier.io/v1alpha1', kind };
    await apply({ ...object, spec: specOf(base) }, base, false);
    await expect(apply({ ...object, spec: { ...specOf(base), ...change } }, base)).rejects.toThrow(message);
  });
});

describe.each(['espalier.io/v1alpha1', 'legacy.espalier.io/v1alpha1'])('clusters of a claim of %s', (apiVersion) => {
  const object = { apiVersion, kind: 'SpireTrustDomain' };

  it('are not filled in where none are named, and have their defaults where some are', async () => {
    const clustersIn = async (fields: Json): Promise<unknown> => {
      const taken = await apply({ ...object, spec: { ...specOf('trust-domain'), ...fields } }, 'filled');
      return (taken as { spec: Json }).spec['clusters'];
    };
    expect(await clustersIn({})).toBeUndefined();
    const defaults = { servers: 1, intermediateTtl: '12h', expose: 'ClusterIP' };
    expect(await clustersIn({ clusters: [cluster] })).toEqual([{ ...cluster, ...defaults }]);
  });

  it('may come, change their image and number of servers, and go', async () => {
    const shop = { ...cluster, context: 'shop' };
    const bank = { ...cluster, name: 'bank', platform: 'azure' };
    for (const clusters of [undefined, [shop], [{ ...shop, servers: 3 }, bank], [{ ...bank, image: 'r:2' }], undefined])
      await apply({ ...object, spec: { ...specOf('trust-domain'), clusters } }, 'changing', false);
  });
});

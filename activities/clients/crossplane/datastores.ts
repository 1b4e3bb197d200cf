// Database servers as SpireDatastore: RDS or Cloud SQL, one for each pool of servers. Who administers it has a password that the cloud keeps, or a Secret;
// it goes from there into the connection and nowhere else.
import type { DatabaseServers, OfPool } from '../../cloud/database-servers.ts';
import { failure } from '../../failures.ts';
import { partName, placeName } from '../../spec/resource-names.ts';
import type { Cloud } from '../../spec/trust-domain-spec.ts';
import type { Composites } from './composites.ts';
import { isComposed } from './composites.ts';
import type { AppliedObject, CompositeObject, Objects } from './objects.ts';
import { commonSpec, trustDomainLabels } from './settings.ts';
import type { CrossplaneSettings } from './settings.ts';

export interface DatastoresOptions {
  readonly objects: Objects;
  readonly composites: Composites;
  readonly cloud: Cloud;
  readonly settings: CrossplaneSettings;
  /** What AWS keeps of a database's master user, as JSON with `username` and `password`. */
  readonly readMasterSecret: (arn: string, region: string) => Promise<string>;
}

const kind = 'SpireDatastore';

export function createCrossplaneDatastores(options: DatastoresOptions): DatabaseServers {
  const { objects, composites, cloud, settings } = options;

  function wanted({ trustDomain, pool, region }: OfPool): AppliedObject {
    if (region === undefined)
      throw failure('InvalidRequest', `pool ${pool} has no region: a datastore of Crossplane is in one`);
    if (cloud === 'gcp' && settings.gcpPassword === undefined)
      throw failure('InvalidRequest', 'this worker has no ESPALIER_CROSSPLANE_PASSWORD_SECRET, which Cloud SQL needs');
    return {
      kind,
      name: partName(trustDomain, pool),
      labels: trustDomainLabels(trustDomain),
      spec: {
        ...commonSpec(settings, cloud, trustDomain),
        region,
        networkRef: { name: placeName(trustDomain, cloud, region) },
        ...(cloud === 'gcp' ? { passwordSecretRef: settings.gcpPassword } : {}),
      },
    };
  }

  async function addressOf({ spec, status = {} }: CompositeObject): Promise<string> {
    const { address, port, user, database, passwordSecret } = status;
    const url = new URL(`postgres://${String(address)}:${Number(port)}/${String(database)}`);
    url.username = String(user);
    url.password = await passwordOf(String(passwordSecret), spec);
    url.searchParams.set('sslmode', settings.sslMode);
    // Node's client gives `require` another meaning than the one that libpq gives it.
    url.searchParams.set('uselibpqcompat', 'true');
    return url.href;
  }

  async function passwordOf(secret: string, spec: CompositeObject['spec']): Promise<string> {
    if (cloud === 'aws') return passwordIn(await options.readMasterSecret(secret, String(spec['region'])), secret);
    const reference = spec['passwordSecretRef'] as { readonly name: string; readonly key: string };
    const password = await objects.readSecret(reference.name, reference.key);
    if (password === undefined)
      throw failure('NotReady', `Secret ${reference.name} with the key ${reference.key} is not there`);
    return password;
  }

  return {
    async ensure(pool) {
      return addressOf(await composites.ensure(wanted(pool)));
    },

    async find({ trustDomain, pool }) {
      const object = await objects.get(kind, partName(trustDomain, pool));
      // One that never got an address has nothing on it.
      return object?.status?.['address'] === undefined ? undefined : addressOf(object);
    },

    async remove({ trustDomain, pool }) {
      const name = partName(trustDomain, pool);
      const object = await objects.get(kind, name);
      if (object === undefined || isComposed(object)) return;
      // A tear-down is no slip: what protects it from one is taken off first.
      if (object.metadata.deletionTimestamp === undefined && object.spec['deletionProtection'] !== false)
        await composites.change({ kind, name, spec: { deletionProtection: false } }, 'removal');
      await composites.remove(kind, name);
    },

    async listPools(trustDomain) {
      const found = await objects.list(kind, trustDomainLabels(trustDomain));
      const prefix = partName(trustDomain, '');
      return found
        .filter((object) => object.spec['cloud'] === cloud && !isComposed(object))
        .map(({ metadata: { name } }) => name.slice(prefix.length))
        .toSorted();
    },
  };
}

function passwordIn(text: string, arn: string): string {
  const { password } = JSON.parse(text) as { password?: unknown };
  if (typeof password !== 'string') throw failure('NotReady', `the secret ${arn} holds no password`);
  return password;
}

// The activities of one cloud's task queue: thin, idempotent acts on its client. The same names are registered on every cloud's queue.
import { Context } from '@temporalio/activity';
import type { CloudActivities, Where } from '../inputs.ts';
import type { CloudClient } from '../cloud.ts';
import { authorityParts, authoritySecretNames, databaseSecretName } from '../cloud.ts';
import { createDatastore } from '../clients/postgres.ts';
import { agentRelease } from '../boot/agent-release.ts';
import { nodeBootScript } from '../boot/node.ts';
import { breakForDrill } from '../drills/await-end.ts';
import { failure } from '../failures.ts';
import { waitUntil } from '../poll.ts';
import type { TrustDomainSpec } from '../spec/trust-domain-spec.ts';
import type { DatabaseServers } from './database-servers.ts';
import { createNodeActivities } from './node-activities.ts';
import { placeServer } from './place-server.ts';
import { readUpstreamAuthority } from './upstream-authority.ts';

export interface CloudActivitiesOptions {
  /** The cloud as the specification wants it: the lab's, or the real one. */
  readonly client: (infrastructure: TrustDomainSpec['infrastructure']) => Promise<CloudClient>;
  readonly databaseServers: (infrastructure: TrustDomainSpec['infrastructure']) => Promise<DatabaseServers>;
  /** Where the files of an authority above the root are; absent where this worker has none to give. */
  readonly authorityDirectory: string | undefined;
  readonly clock: () => number;
}

/** What `bundle-digest` prints on the console, at the start of a line. */
const digestLine = /^espalier: bundle (\S+) authority sha256:([0-9a-f]{64})\s*$/;

export function createCloudActivities(options: CloudActivitiesOptions): CloudActivities {
  const { client, databaseServers, authorityDirectory, clock } = options;

  async function datastoreOf({
    infrastructure,
    trustDomain,
    pool,
  }: Where & { readonly pool: string }): Promise<string> {
    const address = await (await databaseServers(infrastructure)).find({ trustDomain, pool });
    if (address === undefined) throw failure('InvalidRequest', `pool ${pool} of ${trustDomain} has no datastore`);
    return address;
  }

  return {
    ...createNodeActivities(client),
    ensureNetwork: async (input) => (await client(input.infrastructure)).ensureNetwork(input),
    removeNetwork: async (input) => (await client(input.infrastructure)).removeNetwork(input),
    ensureInstanceIdentity: async (input) => (await client(input.infrastructure)).ensureInstanceIdentity(input),
    removeInstanceIdentity: async (input) => (await client(input.infrastructure)).removeInstanceIdentity(input),
    ensureFederatedRole: async (input) => (await client(input.infrastructure)).ensureFederatedRole(input),
    removeFederatedRole: async (input) => (await client(input.infrastructure)).removeFederatedRole(input),

    async ensureDatastore({ infrastructure, trustDomain, pool, region }) {
      const cloud = await client(infrastructure);
      const name = databaseSecretName(trustDomain, pool);
      const servers = await databaseServers(infrastructure);
      await createDatastore(await servers.ensure({ trustDomain, pool, region })).ensureDatabase({
        trustDomain,
        pool,
        isKept: () => cloud.hasSecret({ name, region }),
        keep: (url) => cloud.writeSecret({ trustDomain, name, region, value: `DATABASE_URL=${url}\n` }),
      });
      return name;
    },

    async removeDatastore({ infrastructure, trustDomain, pool, region }) {
      const cloud = await client(infrastructure);
      await cloud.removeSecret({ name: databaseSecretName(trustDomain, pool), region });
      const servers = await databaseServers(infrastructure);
      const address = await servers.find({ trustDomain, pool, region });
      if (address !== undefined) await createDatastore(address).removeDatabase({ trustDomain, pool });
      await servers.remove({ trustDomain, pool, region });
    },

    ensureDatastoreClosed: async (input) =>
      onlyInLab(input, async () => {
        const datastore = createDatastore(await datastoreOf(input));
        await breakForDrill(
          Context.current(),
          () => datastore.closeDatabase(input),
          () => datastore.openDatabase(input),
        );
      }),
    ensureDatastoreOpen: async (input) =>
      onlyInLab(input, async () => createDatastore(await datastoreOf(input)).openDatabase(input)),

    async ensureUpstreamAuthority({ infrastructure, trustDomain, caTtl, region }) {
      const files = await readUpstreamAuthority(authorityDirectory, { caTtl, now: clock() });
      const cloud = await client(infrastructure);
      const names = authoritySecretNames(trustDomain);
      for (const part of authorityParts)
        await cloud.writeSecret({ trustDomain, name: names[part], region, value: files[part] });
      return authorityParts.map((part) => names[part]);
    },

    async removeUpstreamAuthority({ infrastructure, trustDomain, region }) {
      const cloud = await client(infrastructure);
      for (const name of Object.values(authoritySecretNames(trustDomain))) await cloud.removeSecret({ name, region });
    },

    ensureServerInstance: async (input) => (await client(input.infrastructure)).ensureInstance(placeServer(input)),

    async ensureNodeInstance(input) {
      const { trustDomain, name, region, owner, plan } = input;
      const boot = { ...input, artifact: plan.artifact };
      const bootScript = nodeBootScript(boot);
      const release = agentRelease(boot).digest;
      await (
        await client(input.infrastructure)
      ).ensureInstance({ trustDomain, name, region, owner, bootScript, release, role: `node-${input.segment}` });
    },

    async removeInstance(input) {
      const cloud = await client(input.infrastructure);
      // Heartbeats go on while the cloud takes its time.
      await waitUntil(`instance ${input.name} to be gone`, () => cloud.removeInstance(input));
    },

    async waitForInstance(input) {
      const cloud = await client(input.infrastructure);
      return waitUntil(`instance ${input.name} to run`, async () => {
        const instance = await cloud.findInstance(input);
        if (instance === undefined) throw failure('NotReady', `instance ${input.name} is not running yet`);
        return instance;
      });
    },

    async readBundleDigests(input) {
      const cloud = await client(input.infrastructure);
      return waitUntil(`the bundle's digest on the console of ${input.name}`, async () => {
        const lines = (await cloud.readConsole(input)).split('\n');
        const digests = lines.flatMap((line) => {
          const [, trustDomain, digest] = digestLine.exec(line) ?? [];
          return digest === undefined || trustDomain !== input.trustDomain ? [] : [digest];
        });
        if (digests.length === 0) throw failure('NotReady', `no bundle digest yet on the console of ${input.name}`);
        return [...new Set(digests)];
      });
    },

    async listRemains({ infrastructure, trustDomain }) {
      const found = await (await client(infrastructure)).listRemains({ trustDomain });
      const pools = await (await databaseServers(infrastructure)).listPools(trustDomain);
      const databases = pools.filter((pool) => pool !== 'upstream');
      return [...found, ...databases.map((segment) => ({ segment, kind: 'database' as const }))];
    },

    async listResources({ infrastructure, trustDomain, regions }) {
      return (await client(infrastructure)).listResources({ trustDomain, regions });
    },
  };
}

async function onlyInLab({ infrastructure }: Where, act: () => Promise<void>): Promise<void> {
  if (infrastructure !== 'lab')
    throw failure('InvalidRequest', `nothing is broken on purpose in infrastructure "${infrastructure}"`);
  return act();
}

// The activities of one cloud's task queue: thin, idempotent acts on its client. The same names are registered on every cloud's queue.
import type { CloudActivities } from '../inputs.ts';
import type { CloudClient } from '../cloud.ts';
import { authorityParts, authoritySecretNames, databaseSecretName } from '../cloud.ts';
import type { Datastore } from '../clients/postgres.ts';
import { nodeBootScript } from '../boot/node.ts';
import { failure } from '../failures.ts';
import { waitUntil } from '../poll.ts';
import type { TrustDomainSpec } from '../spec/trust-domain-spec.ts';
import { placeServer } from './place-server.ts';
import { readUpstreamAuthority } from './upstream-authority.ts';

export interface CloudActivitiesOptions {
  /** The cloud as the specification wants it: the lab's, or the real one. */
  readonly client: (infrastructure: TrustDomainSpec['infrastructure']) => Promise<CloudClient>;
  readonly datastore: () => Datastore;
  /** Where the files of an authority above the root are; absent where this worker has none to give. */
  readonly authorityDirectory: string | undefined;
  readonly clock: () => number;
}

/** What `bundle-digest` prints on the console, at the start of a line. */
const digestLine = /^espalier: bundle (\S+) authority sha256:([0-9a-f]{64})\s*$/;

export function createCloudActivities(options: CloudActivitiesOptions): CloudActivities {
  const { client, datastore, authorityDirectory, clock } = options;
  return {
    ensureNetwork: async (input) => (await client(input.infrastructure)).ensureNetwork(input),
    removeNetwork: async (input) => (await client(input.infrastructure)).removeNetwork(input),
    ensureInstanceIdentity: async (input) => (await client(input.infrastructure)).ensureInstanceIdentity(input),
    removeInstanceIdentity: async (input) => (await client(input.infrastructure)).removeInstanceIdentity(input),
    ensureFederatedRole: async (input) => (await client(input.infrastructure)).ensureFederatedRole(input),
    removeFederatedRole: async (input) => (await client(input.infrastructure)).removeFederatedRole(input),

    async ensureDatastore({ infrastructure, trustDomain, pool }) {
      const cloud = await client(infrastructure);
      const name = databaseSecretName(trustDomain, pool);
      await datastore().ensureDatabase({
        trustDomain,
        pool,
        isKept: () => cloud.hasSecret(name),
        keep: (url) => cloud.writeSecret({ trustDomain, name, value: `DATABASE_URL=${url}\n` }),
      });
      return name;
    },

    async removeDatastore({ infrastructure, trustDomain, pool }) {
      const cloud = await client(infrastructure);
      await cloud.removeSecret(databaseSecretName(trustDomain, pool));
      await datastore().removeDatabase({ trustDomain, pool });
    },

    async ensureUpstreamAuthority({ infrastructure, trustDomain, caTtl }) {
      const files = await readUpstreamAuthority(authorityDirectory, { caTtl, now: clock() });
      const cloud = await client(infrastructure);
      const names = authoritySecretNames(trustDomain);
      for (const part of authorityParts)
        await cloud.writeSecret({ trustDomain, name: names[part], value: files[part] });
      return authorityParts.map((part) => names[part]);
    },

    async removeUpstreamAuthority({ infrastructure, trustDomain }) {
      const cloud = await client(infrastructure);
      for (const name of Object.values(authoritySecretNames(trustDomain))) await cloud.removeSecret(name);
    },

    ensureServerInstance: async (input) => (await client(input.infrastructure)).ensureInstance(placeServer(input)),

    async ensureNodeInstance(input) {
      const { trustDomain, name, region, owner, plan } = input;
      const bootScript = nodeBootScript({ ...input, artifact: plan.artifact });
      await (
        await client(input.infrastructure)
      ).ensureInstance({ trustDomain, name, region, owner, bootScript, role: `node-${input.segment}` });
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

    async listResources({ infrastructure, trustDomain, regions }) {
      return (await client(infrastructure)).listResources({ trustDomain, regions });
    },
  };
}

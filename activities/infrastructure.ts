// The infrastructure that a specification names: the lab of this machine, by the file that it writes when it is ready, or the real clouds; or Crossplane,
// which makes what is wanted in one of the two. Ambient cloud credentials are read for the real clouds only.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { CloudClient } from './cloud.ts';
import { createLabFaults } from './clients/lab-faults.ts';
import type { LabFaults, LabFaultsOptions } from './clients/lab-faults.ts';
import { createAwsClient } from './clients/aws.ts';
import type { AwsSettings } from './clients/aws.ts';
import { createGcpClient } from './clients/gcp.ts';
import type { DatabaseServers } from './cloud/database-servers.ts';
import { createMasterSecretReader } from './clients/aws-secrets.ts';
import { createCrossplaneClient } from './clients/crossplane/client.ts';
import { createComposites } from './clients/crossplane/composites.ts';
import { createCrossplaneDatastores } from './clients/crossplane/datastores.ts';
import type { Objects } from './clients/crossplane/objects.ts';
import type { CrossplaneSettings } from './clients/crossplane/settings.ts';
import { failure } from './failures.ts';
import type { Substrate } from './plan.ts';
import type { Cloud, TrustDomainSpec } from './spec/trust-domain-spec.ts';

type Kind = TrustDomainSpec['infrastructure'];

export interface RealClouds {
  readonly awsAccount: string;
  readonly awsImageId: string;
  readonly gcpProject: string;
  readonly gcpImage: string;
}

/** What there is to know of Crossplane beside the accounts that it makes things in. */
export type CrossplaneChoice = Pick<CrossplaneSettings, 'providerConfig' | 'gcpPassword' | 'sslMode'> & {
  /** In the namespace that our kinds are in. */
  readonly objects: Objects;
};

export interface InfrastructureOptions {
  /** The lab's ready file; absent where this worker serves no lab. */
  readonly labFile: string | undefined;
  /** Absent where this worker serves no real cloud. */
  readonly real: RealClouds | undefined;
  /** Absent where this worker serves no Crossplane. */
  readonly crossplane?: CrossplaneChoice | undefined;
}

export interface Infrastructure {
  substrate(kind: Kind): Promise<Substrate>;
  client(cloud: Cloud, kind: Kind): Promise<CloudClient>;
  /** Those that Crossplane makes, one for each pool of servers. */
  databaseServers(cloud: Cloud): Promise<DatabaseServers>;
  /** Throws InvalidRequest anywhere but in the lab. */
  faults(kind: Kind): Promise<LabFaults>;
}

const labSchema = z.object({
  endpoint: z.url(),
  isolation: z.enum(['none', 'namespaces']).default('none'),
  aws: z.object({
    account: z.string(),
    imageId: z.string(),
    credentials: z.object({ accessKeyId: z.string(), secretAccessKey: z.string() }),
    regionCertificates: z.record(z.string(), z.string()),
  }),
  gcp: z.object({ project: z.string(), accessToken: z.string(), certificatesUrl: z.string() }),
  image: z.string(),
});
type Lab = z.output<typeof labSchema>;

const awsMachine = { region: 'us-east-1', instanceType: 't3.small' };
const gcpMachine = { machineType: 'e2-small' };
const labImage = 'global/images/espalier';

/** Clouds as they are, whoever makes what is in them. */
interface Clouds {
  readonly substrate: Substrate;
  readonly real: RealClouds;
  readonly aws: AwsSettings;
  /** Of a lab alone. */
  readonly faults?: LabFaultsOptions;
  readonly clients: Map<Cloud, CloudClient>;
  readonly create: (cloud: Cloud) => CloudClient;
}

export function createInfrastructure({ labFile, real, crossplane }: InfrastructureOptions): Infrastructure {
  let loaded: { readonly text: string; readonly clouds: Clouds } | undefined;
  let realClouds: Clouds | undefined;

  /** The lab writes its file anew at each start: its address may have changed. */
  async function lab(file: string): Promise<Clouds> {
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw failure('Unavailable', `lab is not ready: ${(cause as Error).message}`);
    });
    if (loaded?.text !== text) loaded = { text, clouds: labClouds(labSchema.parse(JSON.parse(text))) };
    return loaded.clouds;
  }

  async function clouds(kind: Kind): Promise<Clouds> {
    if (kind === 'lab' && labFile === undefined)
      throw failure('InvalidRequest', 'this worker serves no lab: infrastructure must be "cloud"');
    if (kind === 'cloud' && real === undefined)
      throw failure('InvalidRequest', 'this worker serves no real cloud: infrastructure must be "lab"');
    // Crossplane's providers are set up for the one or the other, and so is this worker.
    if (kind !== 'cloud' && labFile !== undefined) return lab(labFile);
    if (real === undefined) throw failure('InvalidRequest', 'this worker serves no cloud that Crossplane could use');
    return (realClouds ??= createRealClouds(real));
  }

  const directClient = (cloud: Cloud, { clients, create }: Clouds): CloudClient =>
    ensureIn(clients, cloud, () => create(cloud));

  function crossplaneIn(found: Clouds): { objects: Objects; settings: CrossplaneSettings } {
    if (crossplane === undefined)
      throw failure('InvalidRequest', 'this worker serves no Crossplane: infrastructure must be "lab" or "cloud"');
    const { objects, ...choice } = crossplane;
    const { awsAccount, awsImageId, gcpProject, gcpImage } = found.real;
    return {
      objects,
      settings: { ...choice, awsAccount, awsImage: awsImageId, gcpProject, gcpImage },
    };
  }

  return {
    substrate: async (kind) => (await clouds(kind)).substrate,
    async faults(kind) {
      if (kind !== 'lab') throw failure('InvalidRequest', `nothing is broken on purpose in infrastructure "${kind}"`);
      const { faults } = await clouds(kind);
      if (faults === undefined) throw failure('InvalidRequest', 'this worker serves no lab');
      return createLabFaults(faults);
    },
    async client(cloud, kind) {
      const found = await clouds(kind);
      const direct = directClient(cloud, found);
      if (kind !== 'crossplane') return direct;
      return createCrossplaneClient({ ...crossplaneIn(found), cloud, direct });
    },
    async databaseServers(cloud) {
      const found = await clouds('crossplane');
      const { objects, settings } = crossplaneIn(found);
      const composites = createComposites(objects);
      const readMasterSecret = createMasterSecretReader(found.aws);
      return createCrossplaneDatastores({ objects, composites, cloud, settings, readMasterSecret });
    },
  };
}

function labClouds({ aws, gcp, image, endpoint, isolation }: Lab): Clouds {
  const real = { awsAccount: aws.account, awsImageId: aws.imageId, gcpProject: gcp.project, gcpImage: labImage };
  return {
    ...cloudsOf(real, { endpoint, credentials: aws.credentials, accessToken: gcp.accessToken }),
    substrate: {
      image,
      awsAccount: aws.account,
      gcpProject: gcp.project,
      awsRegionCertificates: aws.regionCertificates,
      gcpCertificatesUrl: gcp.certificatesUrl,
    },
    faults: { endpoint, isolation, token: gcp.accessToken },
  };
}

function createRealClouds(real: RealClouds): Clouds {
  const { awsAccount, gcpProject } = real;
  return {
    ...cloudsOf(real, { endpoint: undefined, credentials: undefined, accessToken: undefined }),
    substrate: { image: '', awsAccount, gcpProject, awsRegionCertificates: {} },
  };
}

/** A lab says where it is and whom it lets in; of the real clouds nothing is said, and ambient credentials are read. */
interface Access {
  readonly endpoint: string | undefined;
  readonly credentials: AwsSettings['credentials'];
  readonly accessToken: string | undefined;
}

function cloudsOf(real: RealClouds, { endpoint, credentials, accessToken }: Access): Omit<Clouds, 'substrate'> {
  const { awsAccount, awsImageId, gcpProject, gcpImage } = real;
  const aws = { ...awsMachine, endpoint, account: awsAccount, credentials, imageId: awsImageId };
  const gcp = { ...gcpMachine, endpoint, project: gcpProject, accessToken, image: gcpImage };
  const create = (cloud: Cloud): CloudClient => (cloud === 'aws' ? createAwsClient(aws) : createGcpClient(gcp));
  return { real, aws, clients: new Map(), create };
}

function ensureIn<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const created = create();
  map.set(key, created);
  return created;
}

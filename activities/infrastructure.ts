// The infrastructure that a specification names: the lab of this machine, by the file that it writes when it is ready, or the real clouds.
// Ambient cloud credentials are read for the real clouds only.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { CloudClient } from './cloud.ts';
import { createAwsClient } from './clients/aws.ts';
import { createGcpClient } from './clients/gcp.ts';
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

export interface InfrastructureOptions {
  /** The lab's ready file; absent where this worker serves no lab. */
  readonly labFile: string | undefined;
  /** Absent where this worker serves no real cloud. */
  readonly real: RealClouds | undefined;
}

export interface Infrastructure {
  substrate(kind: Kind): Promise<Substrate>;
  client(cloud: Cloud, kind: Kind): Promise<CloudClient>;
}

const labSchema = z.object({
  endpoint: z.url(),
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

export function createInfrastructure({ labFile, real }: InfrastructureOptions): Infrastructure {
  let loaded: { readonly text: string; readonly clients: Map<Cloud, CloudClient> } | undefined;

  /** The lab writes its file anew at each start: its address may have changed. */
  async function lab(): Promise<{ lab: Lab; clients: Map<Cloud, CloudClient> }> {
    if (labFile === undefined)
      throw failure('InvalidRequest', 'this worker serves no lab: infrastructure must be "cloud"');
    const text = await readFile(labFile, 'utf8').catch((cause: unknown) => {
      throw failure('Unavailable', `lab is not ready: ${(cause as Error).message}`);
    });
    if (loaded?.text !== text) loaded = { text, clients: new Map() };
    return { lab: labSchema.parse(JSON.parse(text)), clients: loaded.clients };
  }

  function realClouds(): RealClouds {
    if (real === undefined)
      throw failure('InvalidRequest', 'this worker serves no real cloud: infrastructure must be "lab"');
    return real;
  }

  const realClients = new Map<Cloud, CloudClient>();
  return {
    async substrate(kind) {
      if (kind === 'cloud') {
        const { awsAccount, gcpProject } = realClouds();
        return { image: '', awsAccount, gcpProject, awsRegionCertificates: {} };
      }
      const { aws, gcp, image } = (await lab()).lab;
      return {
        image,
        awsAccount: aws.account,
        gcpProject: gcp.project,
        awsRegionCertificates: aws.regionCertificates,
        gcpCertificatesUrl: gcp.certificatesUrl,
      };
    },
    async client(cloud, kind) {
      if (kind === 'cloud') return ensureIn(realClients, cloud, () => createRealClient(cloud, realClouds()));
      const found = await lab();
      return ensureIn(found.clients, cloud, () => createLabClient(cloud, found.lab));
    },
  };
}

function createLabClient(cloud: Cloud, { endpoint, aws, gcp }: Lab): CloudClient {
  return cloud === 'aws'
    ? createAwsClient({
        ...awsMachine,
        endpoint,
        account: aws.account,
        credentials: aws.credentials,
        imageId: aws.imageId,
      })
    : createGcpClient({
        ...gcpMachine,
        endpoint,
        project: gcp.project,
        accessToken: gcp.accessToken,
        image: 'global/images/espalier',
      });
}

function createRealClient(cloud: Cloud, { awsAccount, awsImageId, gcpProject, gcpImage }: RealClouds): CloudClient {
  return cloud === 'aws'
    ? createAwsClient({
        ...awsMachine,
        endpoint: undefined,
        account: awsAccount,
        credentials: undefined,
        imageId: awsImageId,
      })
    : createGcpClient({
        ...gcpMachine,
        endpoint: undefined,
        project: gcpProject,
        accessToken: undefined,
        image: gcpImage,
      });
}

function ensureIn<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const created = create();
  map.set(key, created);
  return created;
}

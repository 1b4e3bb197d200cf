// What a segment leaves behind when its instances are gone, as each cloud's client finds it: by the names of identities and secrets, in every region.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CloudClient } from '../../activities/cloud.ts';
import { databaseSecretName } from '../../activities/cloud.ts';
import { createAwsClient } from '../../activities/clients/aws.ts';
import { createGcpClient } from '../../activities/clients/gcp.ts';
import type { InstanceRole } from '../../activities/plan.ts';
import { startTestLab } from './support.ts';
import type { TestLab } from './support.ts';

const trustDomain = 'example.org';
const rights = { secrets: [], describeInstances: false };
let cloud: TestLab;
let clients: Readonly<Record<'aws' | 'gcp', CloudClient>>;

beforeAll(async () => {
  cloud = await startTestLab();
  const { endpoint, aws, gcp } = cloud.lab.description;
  clients = {
    aws: createAwsClient({ ...aws, region: 'us-east-1', instanceType: 't3.small', endpoint }),
    gcp: createGcpClient({ ...gcp, endpoint, image: 'global/images/any', machineType: 'e2-small' }),
  };
});
afterAll(() => cloud.close());

test.each(['aws', 'gcp'] as const)(
  'of a segment on %s, and nothing of the root or of another trust domain',
  async (of) => {
    const client = clients[of];
    const region = of === 'aws' ? 'us-west-2' : undefined;
    const ensure = async (name: string, pool: string, ...roles: InstanceRole[]) => {
      const secret = databaseSecretName(name, pool);
      await client.writeSecret({ trustDomain: name, name: secret, region, value: 'DATABASE_URL=x' });
      for (const role of roles) await client.ensureInstanceIdentity({ trustDomain: name, role, rights });
    };
    await ensure(trustDomain, 'upstream', 'upstream');
    await ensure(trustDomain, 'far-west', 'server-far-west', 'node-far-west');
    await ensure('another.example.org', 'east', 'node-east');
    const found = await client.listRemains({ trustDomain });
    expect(found).toEqual([
      { segment: 'far-west', kind: 'secret', ...(region === undefined ? {} : { region }) },
      { segment: 'far-west', kind: 'identity' },
      { segment: 'far-west', kind: 'identity' },
    ]);
    await client.removeSecret({ name: databaseSecretName(trustDomain, 'far-west'), region });
    for (const role of ['server-far-west', 'node-far-west'] as const)
      await client.removeInstanceIdentity({ trustDomain, role });
    expect(await client.listRemains({ trustDomain })).toEqual([]);
  },
);

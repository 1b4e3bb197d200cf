// A node is cut off by the client that ships: moto's EC2, which knows nothing of us, must then have the instance in one group without rules, as our lab has.
import { mkdtempSync, rmSync } from 'node:fs';
import { DescribeInstancesCommand, DescribeSecurityGroupsCommand, EC2Client } from '@aws-sdk/client-ec2';
import type { SecurityGroup } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudClient } from '../../activities/cloud.ts';
import { createAwsClient } from '../../activities/clients/aws.ts';
import { region, startLabCloud, startMoto } from './support/clouds.ts';
import type { Cloud } from './support/clouds.ts';
import { eventually } from './support/processes.ts';

const directory = mkdtempSync('/tmp/peers-');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const clouds = [
  ['moto', () => startMoto(directory)],
  ['the lab', startLabCloud],
] as const;
const where = { trustDomain: 'example.org', region };

describe.each(clouds)('on %s', (_name, startCloud) => {
  let cloud: Cloud;
  let client: CloudClient;
  let ec2: EC2Client;

  beforeAll(async () => {
    cloud = await startCloud();
    const { endpoint, credentials, account, imageId } = cloud;
    client = createAwsClient({ region, endpoint, credentials, account, imageId, instanceType: 't3.small' });
    ec2 = new EC2Client({ region, endpoint, credentials });
    await client.ensureNetwork(where);
    const { trustDomain } = where;
    const rights = { secrets: [], describeInstances: false };
    await client.ensureInstanceIdentity({ trustDomain, role: 'node-a', rights });
    for (const name of ['node-0', 'node-1']) {
      await client.ensureInstance({ ...where, name, role: 'node-a', bootScript: '#!/bin/sh\n', owner: 'run-1' });
      await eventually(`${name} runs`, async () => {
        if ((await client.findInstance({ ...where, name })) === undefined) throw new Error('not yet');
      });
    }
  });
  afterAll(() => cloud.stop());

  /** The groups that an instance is in, whole. */
  async function groupsOf(name: string): Promise<SecurityGroup[]> {
    const found = await client.findInstance({ ...where, name });
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [found?.instanceId ?? ''] }));
    const ids = (Reservations?.[0]?.Instances?.[0]?.SecurityGroups ?? []).map(({ GroupId }) => GroupId ?? '');
    const { SecurityGroups } = await ec2.send(new DescribeSecurityGroupsCommand({ GroupIds: ids }));
    return SecurityGroups ?? [];
  }
  const rulesOf = (groups: readonly SecurityGroup[]) =>
    groups.map(({ GroupName, IpPermissions, IpPermissionsEgress }) => ({
      name: GroupName,
      ins: IpPermissions?.length,
      outs: IpPermissionsEgress?.length,
    }));

  it('a node that nobody has cut off is reached on its ports and reaches everybody', async () => {
    const [group] = rulesOf(await groupsOf('node-0'));
    expect(group?.name).toMatch(/-instances$/);
    expect(group?.ins).toBeGreaterThan(0);
    expect(group?.outs).toBe(1);
  });

  it('one that is cut off is in one group alone, which lets nothing in and nothing out, also when it is asked for again', async () => {
    for (let times = 0; times < 2; times += 1) {
      await client.isolateInstance({ ...where, name: 'node-0' });
      expect(rulesOf(await groupsOf('node-0'))).toEqual([
        { name: expect.stringMatching(/-isolated$/) as string, ins: 0, outs: 0 },
      ]);
    }
  });

  it('another node keeps its group and that group its rules', async () => {
    const [group] = rulesOf(await groupsOf('node-1'));
    expect(group?.name).toMatch(/-instances$/);
    expect(group?.ins).toBeGreaterThan(0);
  });

  it('the group goes with the network', async () => {
    for (const name of ['node-0', 'node-1']) await client.removeInstance({ ...where, name });
    await client.removeNetwork(where);
    const { SecurityGroups } = await ec2.send(new DescribeSecurityGroupsCommand({}));
    expect((SecurityGroups ?? []).filter(({ GroupName }) => GroupName?.startsWith('espalier'))).toEqual([]);
  });
});

// AWS for the control plane: instances and security groups of one trust domain. SDKs are loaded when first needed: they are large.
import type { EC2Client, Instance as Ec2Instance, Tag } from '@aws-sdk/client-ec2';
import type { CloudClient, CreateInstance } from '../cloud.ts';
import { digest, releaseLabel, stem } from '../cloud.ts';
import { failure } from '../failures.ts';
import { healthPort, serverPort } from '../plan.ts';
import { createAwsCommands, releaseTag } from './aws-commands.ts';
import { groupPlaced } from './group-placed.ts';
import { createAwsIdentities } from './aws-identities.ts';
import { createAwsSecrets } from './aws-secrets.ts';
import { awsErrors, errorName } from './aws-errors.ts';
import { segmentRemains } from './segment-remains.ts';
import { translated } from './translated.ts';

export interface AwsSettings {
  readonly account: string;
  /** Overrides the services' own addresses: the lab. */
  readonly endpoint: string | undefined;
  /** Absent on the real cloud: the SDK's own chain is used there. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  readonly region: string;
  readonly imageId: string;
  readonly instanceType: string;
}

/** What the SDK's clients take, from our settings. */
export function clientSettings(settings: AwsSettings, region = settings.region) {
  return {
    region,
    maxAttempts: 3,
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    ...(settings.credentials === undefined ? {} : { credentials: settings.credentials }),
  };
}

const settingsTag = 'espalier-settings';
const alive = ['pending', 'running', 'stopping', 'stopped'];

export function createAwsClient(settings: AwsSettings): CloudClient {
  const clients = new Map<string, Promise<{ ec2: EC2Client; sdk: typeof import('@aws-sdk/client-ec2') }>>();
  const connect = (region: string) => {
    const existing = clients.get(region);
    if (existing !== undefined) return existing;
    const created = import('@aws-sdk/client-ec2').then((sdk) => ({
      sdk,
      ec2: new sdk.EC2Client(clientSettings(settings, region)),
    }));
    clients.set(region, created);
    return created;
  };
  const groupName = (trustDomain: string) => `${stem(trustDomain)}-instances`;
  const isolatedName = (trustDomain: string) => `${stem(trustDomain)}-isolated`;

  async function listInstances(region: string, trustDomain: string, name?: string): Promise<Ec2Instance[]> {
    const { ec2, sdk } = await connect(region);
    const found: Ec2Instance[] = [];
    const filters = [
      { Name: 'tag:espalier-trust-domain', Values: [trustDomain] },
      { Name: 'instance-state-name', Values: [...alive, 'shutting-down'] },
      ...(name === undefined ? [] : [{ Name: 'tag:espalier-name', Values: [name] }]),
    ];
    for await (const page of sdk.paginateDescribeInstances({ client: ec2 }, { Filters: filters })) {
      found.push(...(page.Reservations ?? []).flatMap((reservation) => reservation.Instances ?? []));
    }
    return found;
  }

  async function listRegions(): Promise<string[]> {
    const { ec2, sdk } = await connect(settings.region);
    const { Regions: regions = [] } = await ec2.send(new sdk.DescribeRegionsCommand({}));
    return regions.flatMap(({ RegionName: region }) => region ?? []);
  }

  async function findGroup(region: string, name: string): Promise<string | undefined> {
    const { ec2, sdk } = await connect(region);
    const groups = await ec2.send(
      new sdk.DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-name', Values: [name] }] }),
    );
    return groups.SecurityGroups?.[0]?.GroupId;
  }

  const identities = createAwsIdentities(settings);
  const secrets = createAwsSecrets(settings);
  const commands = createAwsCommands(settings, {
    list: listInstances,
    async tag(region, instanceIds, key, value) {
      const { ec2, sdk } = await connect(region);
      await ec2.send(new sdk.CreateTagsCommand({ Resources: [...instanceIds], Tags: [{ Key: key, Value: value }] }));
    },
  });
  const client: CloudClient = {
    ...identities,
    ...secrets,
    ...commands,

    async ensureNetwork({ trustDomain, region }) {
      const { ec2, sdk } = await connect(region);
      const existing = await findGroup(region, groupName(trustDomain));
      const groupId = existing ?? (await createGroup(ec2, sdk, groupName(trustDomain), trustDomain));
      // Agents only dial out; servers are reached on their API and health ports, demonstration workloads on theirs.
      const permissions = [serverPort, healthPort].map((port) => ({
        IpProtocol: 'tcp',
        FromPort: port,
        ToPort: port,
        IpRanges: [{ CidrIp: '10.0.0.0/8' }],
      }));
      const workloads = { IpProtocol: 'tcp', FromPort: 9443, ToPort: 9999, IpRanges: [{ CidrIp: '10.0.0.0/8' }] };
      try {
        await ec2.send(
          new sdk.AuthorizeSecurityGroupIngressCommand({
            GroupId: groupId,
            IpPermissions: [...permissions, workloads],
          }),
        );
      } catch (cause) {
        if (errorName(cause) !== 'InvalidPermission.Duplicate') throw cause;
      }
    },

    async removeNetwork({ trustDomain, region }) {
      const { ec2, sdk } = await connect(region);
      for (const name of [groupName(trustDomain), isolatedName(trustDomain)]) {
        const groupId = await findGroup(region, name);
        if (groupId !== undefined) await ec2.send(new sdk.DeleteSecurityGroupCommand({ GroupId: groupId }));
      }
    },

    async ensureInstance(input) {
      const { trustDomain, region, name } = input;
      const [existing] = (await listInstances(region, trustDomain, name)).filter((instance) =>
        alive.includes(instance.State?.Name ?? ''),
      );
      if (existing !== undefined) {
        refuseForeign(existing.Tags ?? [], input);
        return;
      }
      const { ec2, sdk } = await connect(region);
      const groupId = await findGroup(region, groupName(trustDomain));
      if (groupId === undefined)
        throw failure('Conflict', `security group ${groupName(trustDomain)} does not exist in ${region}`);
      await ec2.send(
        new sdk.RunInstancesCommand({
          // The same token for the same instance of the same run: a retry after a lost answer starts no second one.
          ClientToken: digest(`${input.owner}/${trustDomain}/${name}`),
          ImageId: settings.imageId,
          InstanceType: settings.instanceType as 't3.small',
          MinCount: 1,
          MaxCount: 1,
          SecurityGroupIds: [groupId],
          IamInstanceProfile: { Name: `${stem(trustDomain)}-${input.role}` },
          MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1, HttpEndpoint: 'enabled' },
          UserData: Buffer.from(input.bootScript).toString('base64'),
          TagSpecifications: [{ ResourceType: 'instance', Tags: tagsOf(input) }],
        }),
      );
    },

    async findInstance({ trustDomain, name, region }) {
      const found = (await listInstances(region, trustDomain, name)).find(
        (instance) => instance.State?.Name === 'running',
      );
      const { InstanceId: instanceId, PrivateIpAddress: address } = found ?? {};
      if (instanceId === undefined || address === undefined) return undefined;
      const agentId = `spiffe://${trustDomain}/spire/agent/aws_iid/${settings.account}/${region}/${instanceId}`;
      const launched = found?.LaunchTime === undefined ? {} : { launchedAt: found.LaunchTime.toISOString() };
      return { name, cloud: 'aws', region, instanceId, address, agentId, ...launched };
    },

    async isolateInstance({ trustDomain, name, region }) {
      const { ec2, sdk } = await connect(region);
      const isolated = isolatedName(trustDomain);
      const groupId = (await findGroup(region, isolated)) ?? (await createGroup(ec2, sdk, isolated, trustDomain));
      // A new group lets everything out, until those rules are taken from it; the second is there where the network has IPv6.
      for (const range of [{ IpRanges: [{ CidrIp: '0.0.0.0/0' }] }, { Ipv6Ranges: [{ CidrIpv6: '::/0' }] }]) {
        const IpPermissions = [{ IpProtocol: '-1', ...range }];
        try {
          await ec2.send(new sdk.RevokeSecurityGroupEgressCommand({ GroupId: groupId, IpPermissions }));
        } catch (cause) {
          if (errorName(cause) !== 'InvalidPermission.NotFound') throw cause;
        }
      }
      for (const { InstanceId } of await listInstances(region, trustDomain, name))
        await ec2.send(new sdk.ModifyInstanceAttributeCommand({ InstanceId, Groups: [groupId] }));
    },

    async removeInstance({ trustDomain, name, region }) {
      const { ec2, sdk } = await connect(region);
      const ids = (await listInstances(region, trustDomain, name)).flatMap((instance) => instance.InstanceId ?? []);
      if (ids.length === 0) return;
      await ec2.send(new sdk.TerminateInstancesCommand({ InstanceIds: ids }));
      await sdk.waitUntilInstanceTerminated(
        { client: ec2, maxWaitTime: 300, minDelay: 1, maxDelay: 5 },
        { InstanceIds: ids },
      );
    },

    async readConsole({ trustDomain, name, region }) {
      const { ec2, sdk } = await connect(region);
      const [instance] = await listInstances(region, trustDomain, name);
      if (instance?.InstanceId === undefined)
        throw failure('Conflict', `instance ${name} of ${trustDomain} does not exist in ${region}`);
      const console = await ec2.send(
        new sdk.GetConsoleOutputCommand({ InstanceId: instance.InstanceId, Latest: true }),
      );
      return Buffer.from(console.Output ?? '', 'base64').toString('utf8');
    },

    async listPlaced({ trustDomain }) {
      const regions = await listRegions();
      const found = await Promise.all(
        regions.map((region) => listInstances(region, trustDomain).then((instances) => ({ region, instances }))),
      );
      const tag = ({ Tags }: Ec2Instance, key: string) => Tags?.find((one) => one.Key === key)?.Value;
      return groupPlaced(
        found.flatMap(({ region, instances }) =>
          instances
            .filter(({ State }) => alive.includes(State?.Name ?? ''))
            .map((one) => ({
              cloud: 'aws',
              region,
              role: tag(one, 'espalier-role'),
              name: tag(one, 'espalier-name'),
              settings: tag(one, settingsTag),
            })),
        ),
      );
    },

    async listRemains({ trustDomain }) {
      const [roles, regions] = await Promise.all([identities.listRoles(trustDomain), listRegions()]);
      const kept = await Promise.all(
        regions.map(async (region) => {
          const listed = await secrets.listSecrets(trustDomain, [region]);
          return listed.map(({ name }) => ({ name, region }));
        }),
      );
      return segmentRemains(trustDomain, { roles, secrets: kept.flat() });
    },

    async listResources({ trustDomain, regions }) {
      const found = await Promise.all(
        regions.map(async (region) => {
          const instances = await listInstances(region, trustDomain);
          const groups = await Promise.all(
            [groupName(trustDomain), isolatedName(trustDomain)].map((name) => findGroup(region, name)),
          );
          return [
            ...instances.map((instance) => ({
              kind: 'instance' as const,
              name: instance.InstanceId ?? 'unnamed',
              owner: ownerOf(instance.Tags ?? []),
            })),
            ...groups.flatMap((group) =>
              group === undefined ? [] : [{ kind: 'network' as const, name: group, owner: undefined }],
            ),
          ];
        }),
      );
      return [
        ...found.flat(),
        ...(await identities.listIdentities(trustDomain)),
        ...(await secrets.listSecrets(trustDomain, [settings.region, ...regions])),
      ];
    },
  };
  return translated(client, awsErrors);
}

function tagsOf({ trustDomain, name, role, owner, release, settings }: CreateInstance): Tag[] {
  return [
    { Key: 'Name', Value: name },
    { Key: 'espalier-trust-domain', Value: trustDomain },
    { Key: 'espalier-name', Value: name },
    { Key: 'espalier-role', Value: role },
    { Key: 'espalier-owner', Value: owner },
    ...(settings === undefined ? [] : [{ Key: settingsTag, Value: settings }]),
    ...(release === undefined ? [] : [{ Key: releaseTag, Value: releaseLabel(release) }]),
  ];
}

function ownerOf(tags: readonly Tag[]): string | undefined {
  return tags.find((tag) => tag.Key === 'espalier-owner')?.Value;
}

function refuseForeign(tags: readonly Tag[], { name, owner }: CreateInstance): void {
  const actual = ownerOf(tags);
  if (actual !== owner)
    throw failure('Conflict', `instance ${name} exists already and belongs to ${actual ?? 'nobody known'}`);
}

async function createGroup(
  ec2: EC2Client,
  sdk: typeof import('@aws-sdk/client-ec2'),
  name: string,
  trustDomain: string,
): Promise<string> {
  const created = await ec2.send(
    new sdk.CreateSecurityGroupCommand({
      GroupName: name,
      Description: `SPIRE servers and nodes of ${trustDomain}`,
      TagSpecifications: [
        { ResourceType: 'security-group', Tags: [{ Key: 'espalier-trust-domain', Value: trustDomain }] },
      ],
    }),
  );
  if (created.GroupId === undefined) throw failure('Unavailable', `the cloud gave security group ${name} no id`);
  return created.GroupId;
}

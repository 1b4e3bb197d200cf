// What both clouds list, asked of their APIs as anybody would: everything in the account and the project, whoever it belongs to.
import { readFileSync } from 'node:fs';
import { DescribeInstancesCommand, DescribeSecurityGroupsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { IAMClient, ListInstanceProfilesCommand, ListRolesCommand } from '@aws-sdk/client-iam';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { z } from 'zod';

const labSchema = z.object({
  endpoint: z.string(),
  aws: z.object({ credentials: z.object({ accessKeyId: z.string(), secretAccessKey: z.string() }) }),
  gcp: z.object({ project: z.string(), zone: z.string(), accessToken: z.string() }),
});
type Lab = z.output<typeof labSchema>;

/** Lines such as `aws role espalier-…`, sorted. */
export async function listClouds(labFile: string): Promise<string[]> {
  const lab = labSchema.parse(JSON.parse(readFileSync(labFile, 'utf8')));
  const [aws, gcp] = await Promise.all([listAws(lab), listGcp(lab)]);
  return [...aws, ...gcp].sort();
}

async function listAws({ endpoint, aws: { credentials } }: Lab): Promise<string[]> {
  const settings = { endpoint, credentials, region: 'us-east-1', maxAttempts: 3 };
  const ec2 = new EC2Client(settings);
  const iam = new IAMClient(settings);
  const [instances, groups, roles, profiles, secrets] = await Promise.all([
    ec2.send(new DescribeInstancesCommand({})),
    ec2.send(new DescribeSecurityGroupsCommand({})),
    iam.send(new ListRolesCommand({})),
    iam.send(new ListInstanceProfilesCommand({})),
    new SecretsManagerClient(settings).send(new ListSecretsCommand({})),
  ]);
  const existing = (instances.Reservations ?? [])
    .flatMap((reservation) => reservation.Instances ?? [])
    .filter(({ State }) => State?.Name !== 'terminated'); // EC2 lists them for an hour
  return [
    ...existing.map(
      ({ Tags, InstanceId }) => `instance ${Tags?.find(({ Key }) => Key === 'Name')?.Value ?? InstanceId}`,
    ),
    ...(groups.SecurityGroups ?? []).map(({ GroupName }) => `security group ${GroupName}`),
    ...(roles.Roles ?? []).map(({ RoleName }) => `role ${RoleName}`),
    ...(profiles.InstanceProfiles ?? []).map(({ InstanceProfileName }) => `instance profile ${InstanceProfileName}`),
    ...(secrets.SecretList ?? []).map(({ Name }) => `secret ${Name}`),
  ].map((line) => `aws ${line}`);
}

const listSchema = z.looseObject({ nextPageToken: z.string().optional() });
const namedSchema = z.object({ name: z.string(), displayName: z.string().optional() });

async function listGcp({ endpoint, gcp: { project, zone, accessToken } }: Lab): Promise<string[]> {
  const list = async (path: string, key: string) => {
    const response = await fetch(`${endpoint}${path}`, {
      headers: { authorization: `Bearer ${accessToken}` },
      signal: AbortSignal.timeout(30_000),
    });
    if (!response.ok) throw new Error(`GET ${path}: HTTP ${response.status}: ${await response.text()}`);
    const page = listSchema.parse(await response.json());
    if (page.nextPageToken !== undefined) throw new Error(`GET ${path}: more than one page`);
    return z.array(namedSchema).parse(page[key] ?? []);
  };
  const [instances, firewalls, accounts, secrets] = await Promise.all([
    list(`/compute/v1/projects/${project}/zones/${zone}/instances`, 'items'),
    list(`/compute/v1/projects/${project}/global/firewalls`, 'items'),
    list(`/v1/projects/${project}/serviceAccounts`, 'accounts'),
    list(`/v1/projects/${project}/secrets`, 'secrets'),
  ]);
  return [
    ...instances.map(({ name }) => `instance ${name}`),
    ...firewalls.map(({ name }) => `firewall ${name}`),
    ...accounts.map(({ displayName, name }) => `service account ${displayName ?? name}`),
    ...secrets.map(({ name }) => `secret ${name.slice(name.lastIndexOf('/') + 1)}`),
  ].map((line) => `gcp ${line}`);
}

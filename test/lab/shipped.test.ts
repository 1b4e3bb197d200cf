// What ships, against the lab: the control plane's cloud clients make nodes, both halves of the attestors attest them, and everything is
// taken away again. The attestors know of the lab only what a configuration and the SDKs' environment variables can say.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CloudClient } from '../../activities/cloud.ts';
import { createAwsClient } from '../../activities/clients/aws.ts';
import { createGcpClient } from '../../activities/clients/gcp.ts';
import type { Instance } from '../../activities/plan.ts';
import { createAgentAttestor } from '../../runtime/attest/agent-attestors.ts';
import { createServerAttestor } from '../../runtime/attest/server-attestors.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { createCloudNode } from '../../runtime/node/cloud-node.ts';
import { gcpRest, startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

const name = 'example.org';
const trustDomain = parseTrustDomain(name);
const log = { debug: () => undefined, warn: () => undefined };
const directory = mkdtempSync(join(tmpdir(), 'shipped-'));
const certificate = join(directory, 'us-east-1.pem');

let cloud: TestLab;
let aws: CloudClient;
let gcp: CloudClient;
let awsNode: Instance;
let gcpNode: Instance;
let roleArn = '';

async function createNode(
  client: CloudClient,
  region: string,
): Promise<{ node: Instance; subject: string | undefined }> {
  await client.ensureNetwork({ trustDomain: name, region });
  const rights = { secrets: [], describeInstances: true };
  const { subject } = await client.ensureInstanceIdentity({ trustDomain: name, role: 'node-a', rights });
  const input = { trustDomain: name, name: 'node-0', region, role: 'node-a', bootScript: '', owner: 'run-1' } as const;
  await client.ensureInstance(input);
  await client.ensureInstance(input);
  const node = await until('the node', () => client.findInstance({ trustDomain: name, name: 'node-0', region }));
  return { node, subject };
}

beforeAll(async () => {
  cloud = await startTestLab();
  const { endpoint, aws: account, gcp: project } = cloud.lab.description;
  writeFileSync(certificate, account.regionCertificates['us-east-1'] ?? '');
  const image = { imageId: account.imageId, instanceType: 't3.small' };
  aws = createAwsClient({
    region: 'us-east-1',
    ...image,
    endpoint,
    account: account.account,
    credentials: account.credentials,
  });
  gcp = createGcpClient({
    endpoint,
    project: project.project,
    accessToken: project.accessToken,
    image: 'global/images/any',
    machineType: 'e2-small',
  });
  ({ node: awsNode } = await createNode(aws, 'us-east-1'));
  const made = await createNode(gcp, 'us-central1');
  gcpNode = made.node;
  roleArn = await aws.ensureFederatedRole({ trustDomain: name, subject: made.subject ?? '', audience: 'espalier' });
  vi.stubEnv('AWS_ENDPOINT_URL', endpoint);
  // AWS' SDK reads the process's own environment for where the metadata service is.
  vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', nodeEnvironment().AWS_EC2_METADATA_SERVICE_ENDPOINT);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await cloud.close();
  rmSync(directory, { recursive: true, force: true });
});

const nodeEnvironment = () => ({
  AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${awsNode.address}:1338`,
  GCE_METADATA_HOST: `${gcpNode.address}:1339`,
});

/** As `espalier-node secret` does on the node. */
const awsReader = (secret: string) => createCloudNode('aws', { fetch, env: nodeEnvironment() }).secret(secret);
const gcpReader = (secret: string) =>
  createCloudNode('gcp', {
    fetch,
    env: { ...nodeEnvironment(), ESPALIER_GCP_SECRETMANAGER_ENDPOINT: cloud.lab.description.endpoint },
  }).secret(secret);

/** As a server on the GCP node would: with that node's identity and no key of AWS's. */
async function attest(type: 'aws_iid' | 'gcp_iit', serverConfig: object, payload?: Uint8Array) {
  const env = nodeEnvironment();
  const evidence = payload ?? (await (await createAgentAttestor(type, {}, { trustDomain, log, env })).payload());
  const server = createServerAttestor(type, serverConfig as never, { trustDomain, log, env, clock: Date.now });
  const challenge = () => Promise.reject(new Error('no challenge is expected'));
  const context = { hasAttested: () => Promise.resolve(false), signal: AbortSignal.timeout(20_000) };
  return server.attest(evidence, challenge, context);
}

const awsConfig = (audience = 'espalier') => ({
  region_certificates: [{ 'us-east-1': certificate }],
  web_identity: [{ role_arn: roleArn, audience }],
});
const gcpConfig = (project = 'espalier-lab') => ({
  projectid_allow_list: [project],
  certificates_url: cloud.lab.description.gcp.certificatesUrl,
});

describe('nodes in the lab', () => {
  test('an AWS node is attested by a server on GCE, which assumes a role by its own identity token', async () => {
    const { spiffeId, selectors } = await attest('aws_iid', awsConfig());
    expect(spiffeId.toString()).toBe(awsNode.agentId);
    expect(selectors.map(({ value }) => value)).toContain('tag:espalier-trust-domain:example.org');
  });

  test('a GCP node is attested by its identity token', async () => {
    const { spiffeId } = await attest('gcp_iit', gcpConfig());
    expect(spiffeId.toString()).toBe(gcpNode.agentId);
  });

  test('are found with the time of their last start', async () => {
    const [first, second] = [awsNode, gcpNode].map(({ launchedAt = '' }) => Date.parse(launchedAt));
    const { region } = gcpNode;
    await gcp.ensureInstance({
      trustDomain: name,
      name: 'later',
      region,
      role: 'node-a',
      bootScript: '',
      owner: 'run',
    });
    const later = await until('another', () => gcp.findInstance({ trustDomain: name, name: 'later', region }));
    expect(Date.parse(later.launchedAt ?? '')).toBeGreaterThan(second!);
    expect(second!).toBeGreaterThanOrEqual(first!);
    await gcp.removeInstance({ trustDomain: name, name: 'later', region });
  });

  test('a token for another audience gets no role, and its server attests nobody', async () => {
    await expect(attest('aws_iid', awsConfig('somebody-else'))).rejects.toThrow();
  });

  test('a project that is not listed is refused', async () => {
    await expect(attest('gcp_iit', gcpConfig('another-project'))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  test('read a secret only where their own identity may, and nobody’s right is lost by another’s', async () => {
    const secret = 'espalier-shared-key';
    const admin = [
      [aws, awsReader],
      [gcp, gcpReader],
    ] as const;
    for (const [client, read] of admin) {
      await client.writeSecret({ trustDomain: name, name: secret, region: undefined, value: 'SECRET' });
      await expect(read(secret)).rejects.toThrow();
      for (const role of ['upstream', 'node-a'] as const)
        await client.ensureInstanceIdentity({
          trustDomain: name,
          role,
          rights: { secrets: [secret], describeInstances: false },
        });
      // Made again, as a retried activity does: nothing is there twice.
      await client.ensureInstanceIdentity({
        trustDomain: name,
        role: 'upstream',
        rights: { secrets: [secret], describeInstances: false },
      });
      expect(await read(secret)).toBe('SECRET');
      await client.removeInstanceIdentity({ trustDomain: name, role: 'upstream' });
      await client.removeSecret({ name: secret, region: undefined });
    }
  });

  test('get a right on a secret whose policy others change at the same time', async () => {
    const secret = 'espalier-contended';
    await gcp.writeSecret({ trustDomain: name, name: secret, region: undefined, value: 'SECRET' });
    const roles = ['server-a', 'server-b', 'server-c'] as const;
    await Promise.all(
      roles.map((role) =>
        gcp.ensureInstanceIdentity({
          trustDomain: name,
          role,
          rights: { secrets: [secret], describeInstances: false },
        }),
      ),
    );
    const { body } = await gcpRest(cloud, 'GET', `/v1/projects/espalier-lab/secrets/${secret}:getIamPolicy`);
    expect(
      (body['bindings'] as { role: string; members: string[] }[]).map(({ role, members }) => [role, members.length]),
    ).toEqual([['roles/secretmanager.secretAccessor', 3]]);
    for (const role of roles) await gcp.removeInstanceIdentity({ trustDomain: name, role });
    await gcp.removeSecret({ name: secret, region: undefined });
  });

  test('are taken away, twice without complaint, and nothing is left', async () => {
    for (const [client, region] of [
      [aws, 'us-east-1'],
      [gcp, 'us-central1'],
    ] as const) {
      // prettier-ignore
      for (let time = 0; time < 2; time += 1) {
        await client.removeInstance({ trustDomain: name, name: 'node-0', region });
        await client.removeInstanceIdentity({ trustDomain: name, role: 'node-a' });
        await client.removeNetwork({ trustDomain: name, region });
        await client.removeFederatedRole({ trustDomain: name });
      }
      expect(await client.listResources({ trustDomain: name, regions: [region] })).toEqual([]);
    }
  });
});

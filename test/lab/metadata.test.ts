// Both metadata services, asked as an instance asks them, and their signatures judged with nothing of the lab's but its public certificates.
import { createPublicKey, createVerify, createHash, X509Certificate } from 'node:crypto';
import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import forge from 'node-forge';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsClients, gcpRest, startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

let cloud: TestLab;
beforeAll(async () => {
  cloud = await startTestLab();
});
afterAll(() => cloud.close());

interface Machine {
  readonly cloud: string;
  readonly id: string;
  readonly address: string;
  readonly run: string;
}

async function findMachine(kind: string): Promise<Machine> {
  const { body } = await gcpRest(cloud, 'GET', '/lab/machines');
  return (body as unknown as Machine[]).find((machine) => machine.cloud === kind)!;
}

describe('the instance metadata service of AWS', () => {
  let base = '';
  let token = '';

  beforeAll(async () => {
    const { ec2 } = awsClients(cloud);
    await ec2.send(
      new RunInstancesCommand({
        ImageId: 'ami-0077000000000077e',
        MinCount: 1,
        MaxCount: 1,
        MetadataOptions: { HttpTokens: 'required' },
      }),
    );
    base = `http://${(await findMachine('aws')).address}:1338/latest`;
    token = await until('a token', async () =>
      (await put({ 'x-aws-ec2-metadata-token-ttl-seconds': '60' }).catch(() => undefined))?.text(),
    );
  });

  const put = (headers: Record<string, string>) => fetch(`${base}/api/token`, { method: 'PUT', headers });
  const get = async (path: string) =>
    (await fetch(`${base}/${path}`, { headers: { 'x-aws-ec2-metadata-token': token } })).text();

  test.each([
    ['no lifetime', {}, 400],
    ['a lifetime of zero', { 'x-aws-ec2-metadata-token-ttl-seconds': '0' }, 400],
    ['a lifetime beyond six hours', { 'x-aws-ec2-metadata-token-ttl-seconds': '21601' }, 400],
    [
      'a request that was forwarded',
      { 'x-aws-ec2-metadata-token-ttl-seconds': '60', 'x-forwarded-for': '10.0.0.1' },
      403,
    ],
  ])('gives no token for %s', async (_what, headers, status) => {
    expect((await put(headers as Record<string, string>)).status).toBe(status);
  });

  test('answers nobody without a token, nor with one of its own making', async () => {
    for (const headers of [{}, { 'x-aws-ec2-metadata-token': 'e30.AAAA' }]) {
      expect(
        (await fetch(`${base}/meta-data/instance-id`, { headers: headers as Record<string, string> })).status,
      ).toBe(401);
    }
  });

  test('says who and where the instance is', async () => {
    const { id, address } = await findMachine('aws');
    expect(await get('meta-data/instance-id')).toBe(id);
    expect(await get('meta-data/local-ipv4')).toBe(address);
    expect(await get('meta-data/placement/region')).toBe('us-east-1');
    expect(await get('meta-data/placement/')).toBe('availability-zone\nregion');
  });

  test('signs the document: PKCS#7 by the certificate of the region, the document inside', async () => {
    const document = await get('dynamic/instance-identity/document');
    const { id, address } = await findMachine('aws');
    expect(JSON.parse(document)).toMatchObject({
      accountId: '000000000077',
      region: 'us-east-1',
      instanceId: id,
      privateIp: address,
    });

    const der = Buffer.from(await get('dynamic/instance-identity/rsa2048'), 'base64');
    const message = forge.pkcs7.messageFromAsn1(forge.asn1.fromDer(der.toString('latin1'))) as unknown as {
      rawCapture: { content: forge.asn1.Asn1; authenticatedAttributes: forge.asn1.Asn1[]; signature: string };
    };
    const { content, authenticatedAttributes, signature } = message.rawCapture;
    const inside = ((content.value as forge.asn1.Asn1[])[0] as forge.asn1.Asn1).value as string;
    expect(inside).toBe(document);
    // RFC 5652 §5.4: what is signed is the attributes as an explicit SET, and one of them is the digest of the content.
    const set = forge.asn1.create(forge.asn1.Class.UNIVERSAL, forge.asn1.Type.SET, true, authenticatedAttributes);
    const signed = Buffer.from(forge.asn1.toDer(set).getBytes(), 'latin1');
    expect(signed.includes(createHash('sha256').update(document).digest())).toBe(true);
    const certificate = new X509Certificate(cloud.lab.description.aws.regionCertificates['us-east-1']!);
    expect(createVerify('sha256').update(signed).verify(certificate.publicKey, Buffer.from(signature, 'latin1'))).toBe(
      true,
    );
    expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
  });
});

describe('the metadata server of Compute Engine', () => {
  const email = 'node-account@espalier-lab.iam.gserviceaccount.com';
  let base = '';
  let uniqueId = '';

  beforeAll(async () => {
    const { body } = await gcpRest(cloud, 'POST', '/v1/projects/espalier-lab/serviceAccounts', {
      accountId: 'node-account',
    });
    uniqueId = body['uniqueId'] as string;
    await gcpRest(cloud, 'POST', '/compute/v1/projects/espalier-lab/zones/europe-west1-b/instances', {
      name: 'node',
      machineType: 'zones/europe-west1-b/machineTypes/e2-small',
      disks: [{ boot: true }],
      networkInterfaces: [{}],
      serviceAccounts: [{ email, scopes: ['https://www.googleapis.com/auth/cloud-platform'] }],
    });
    base = `http://${(await findMachine('gcp')).address}:1339/computeMetadata/v1`;
    await until('the server', () => get('instance/id').catch(() => undefined));
  });

  const ask = (path: string, headers: Record<string, string>) => fetch(`${base}/${path}`, { headers });
  const get = async (path: string) => (await ask(path, { 'metadata-flavor': 'Google' })).text();

  test('answers nobody who does not say the flavor, or who forwards', async () => {
    expect((await ask('instance/id', {})).status).toBe(403);
    expect((await ask('instance/id', { 'metadata-flavor': 'Google', 'x-forwarded-for': '10.0.0.1' })).status).toBe(403);
    expect((await ask('instance/id', { 'metadata-flavor': 'Google' })).headers.get('metadata-flavor')).toBe('Google');
  });

  test('says who and where the instance is', async () => {
    const { id, address } = await findMachine('gcp');
    expect(await get('instance/id')).toBe(id);
    expect(await get('instance/network-interfaces/0/ip')).toBe(address);
    expect(await get('instance/zone')).toBe('projects/770000000077/zones/europe-west1-b');
    expect(await get('project/project-id')).toBe('espalier-lab');
    expect(JSON.parse(await get('instance/service-accounts/?recursive=true'))).toMatchObject({
      default: { email, aliases: ['default'] },
    });
  });

  test('signs identity tokens with the key behind the certificates, and names the instance in the full format only', async () => {
    const { id } = await findMachine('gcp');
    const path = 'instance/service-accounts/default/identity?audience=spire-gcp-node-attestor';
    const full = await get(`${path}&format=full`);
    const [head = '', body = '', signature = ''] = full.split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as { alg: string; kid: string };
    const certificates = (await (await fetch(cloud.lab.description.gcp.certificatesUrl)).json()) as Record<
      string,
      string
    >;
    const key = createPublicKey(certificates[header.kid]!);
    expect(header.alg).toBe('RS256');
    expect(createVerify('sha256').update(`${head}.${body}`).verify(key, Buffer.from(signature, 'base64url'))).toBe(
      true,
    );
    expect(JSON.parse(Buffer.from(body, 'base64url').toString())).toMatchObject({
      iss: 'https://accounts.google.com',
      aud: 'spire-gcp-node-attestor',
      sub: uniqueId,
      email,
      google: {
        compute_engine: {
          project_id: 'espalier-lab',
          project_number: 770000000077,
          zone: 'europe-west1-b',
          instance_id: id,
          instance_name: 'node',
        },
      },
    });
    const standard = await get(path);
    expect(JSON.parse(Buffer.from(standard.split('.')[1]!, 'base64url').toString())).not.toHaveProperty('google');
  });

  test('gives no identity token without an audience', async () => {
    expect((await ask('instance/service-accounts/default/identity', { 'metadata-flavor': 'Google' })).status).toBe(400);
  });

  test("gives the account's access token, which reads the account's own secret and no other", async () => {
    for (const name of ['own', 'other']) {
      await gcpRest(cloud, 'POST', `/v1/projects/espalier-lab/secrets?secretId=${name}`, {
        replication: { automatic: {} },
      });
      await gcpRest(cloud, 'POST', `/v1/projects/espalier-lab/secrets/${name}:addVersion`, {
        payload: { data: 'c2VjcmV0' },
      });
    }
    const policy = { bindings: [{ role: 'roles/secretmanager.secretAccessor', members: [`serviceAccount:${email}`] }] };
    await gcpRest(cloud, 'POST', '/v1/projects/espalier-lab/secrets/own:setIamPolicy', { policy });
    const { access_token: token } = JSON.parse(await get('instance/service-accounts/default/token')) as {
      access_token: string;
    };
    const read = (path: string) => gcpRest(cloud, 'GET', path, undefined, token);
    const secrets = '/v1/projects/espalier-lab/secrets';
    expect(await read(`${secrets}/own/versions/latest:access`)).toMatchObject({
      status: 200,
      body: { payload: { data: 'c2VjcmV0' } },
    });
    for (const path of [
      `${secrets}/other/versions/latest:access`,
      `${secrets}/none/versions/latest:access`,
      secrets,
      '/lab/machines',
    ]) {
      expect(await read(path)).toMatchObject({ status: 403 });
    }
  });
});

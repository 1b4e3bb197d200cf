// The server half of aws_iid asks EC2 and IAM about a node: moto must lead it to the same judgement as our lab, so that the lab is no AWS of our own fancy.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createAwsIidServerAttestor } from '../../runtime/attest/aws_iid/server.ts';
import { encodeBase64, encodeJson } from '../../runtime/attest/payload.ts';
import type { ServerAttestor } from '../../runtime/attest/attestor.ts';
import { document as anyDocument, makePkcs7 } from '../runtime/attest/aws_iid/signed-document.ts';
import { makeCertificate, rsaKeys } from '../runtime/attest/certificates.ts';
import {
  bytes,
  clock,
  contextWith,
  expectRefusal,
  log,
  noChallenge,
  trustDomain,
} from '../runtime/attest/server-context.ts';
import { region, runInstance, startLabCloud, startMoto } from './support/clouds.ts';
import type { Cloud, Instance } from './support/clouds.ts';

const signer = makeCertificate({ commonName: region, keys: rsaKeys() });
const directory = mkdtempSync('/tmp/peers-');
const certificatePath = join(directory, `${region}.pem`);
writeFileSync(certificatePath, signer.pem);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const clouds = [
  ['moto', () => startMoto(directory)],
  ['the lab', startLabCloud],
] as const;

describe.each(clouds)('aws_iid by what %s says', (_name, startCloud) => {
  let cloud: Cloud;
  let instance: Instance;
  let server: ServerAttestor;

  beforeAll(async () => {
    cloud = await startCloud();
    vi.stubEnv('AWS_ENDPOINT_URL', cloud.endpoint);
    instance = await runInstance(cloud, 'peer-node');
    const { accessKeyId: access_key_id, secretAccessKey: secret_access_key } = cloud.credentials;
    const config = { access_key_id, secret_access_key, region_certificates: [{ [region]: certificatePath }] };
    server = createAwsIidServerAttestor(config, { trustDomain, log, clock });
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await cloud.stop();
  });

  const documentOf = (more: object) => {
    const { account: accountId, imageId } = cloud;
    return { ...anyDocument, accountId, imageId, region, instanceId: instance.id, ...more };
  };
  const attest = (more: object = {}) => {
    const content = bytes(JSON.stringify(documentOf(more)));
    const rsa2048 = encodeBase64(makePkcs7({ content, signer }));
    const payload = encodeJson({ document: new TextDecoder().decode(content), signature: '', rsa2048 });
    return server.attest(payload, noChallenge, contextWith());
  };

  it('knows a running instance, with its tag, security group and role', async () => {
    const { spiffeId, selectors, canReattest } = await attest();
    expect(spiffeId.toString()).toBe(
      `spiffe://example.org/spire/agent/aws_iid/${cloud.account}/${region}/${instance.id}`,
    );
    expect(canReattest).toBe(false);
    expect(selectors.map(({ value }) => value)).toEqual([
      `account_id:${cloud.account}`,
      `az:${anyDocument.availabilityZone}`,
      `iamrole:${instance.roleArn}`,
      `image:id:${cloud.imageId}`,
      `instance:id:${instance.id}`,
      `region:${region}`,
      `sg:id:${instance.groupId}`,
      'sg:name:peer-node',
      'tag:Name:peer-node',
    ]);
  });

  it('refuses an instance that does not exist', () =>
    expectRefusal(attest({ instanceId: 'i-0123456789abcdef0' }), 'INTERNAL', 'INSTANCE_NOT_FOUND'));

  it('refuses an instance of another account', () =>
    expectRefusal(attest({ accountId: '999999999999' }), 'PERMISSION_DENIED', 'INSTANCE_MISMATCH'));

  it('refuses an instance that is terminated', async () => {
    const { terminate, id: instanceId } = await runInstance(cloud, 'short-lived');
    await terminate();
    await expectRefusal(attest({ instanceId }), 'INTERNAL', 'INSTANCE_NOT_FOUND');
  });
});

// The questions to EC2, IAM and STS, over the real SDKs: their endpoints are a service on loopback that answers as AWS's do.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createAwsInstances } from '../../../../runtime/attest/aws_iid/aws-instances.ts';
import { parseAwsIidConfig } from '../../../../runtime/attest/aws_iid/server-config.ts';
import type { Answer, HttpService } from '../http-service.ts';
import { startHttpService } from '../http-service.ts';
import { expectRefusal, log } from '../server-context.ts';
import { document } from './signed-document.ts';

const keys = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'secret' };
const signal = new AbortController().signal;
type Action = 'DescribeInstances' | 'GetInstanceProfile' | 'AssumeRole' | 'AssumeRoleWithWebIdentity';

let aws: HttpService;
let metadata: HttpService;
let answers: Partial<Record<Action, Answer>> = {};
const asked: URLSearchParams[] = [];

const xml = (body: string): Answer => ({
  headers: { 'Content-Type': 'text/xml' },
  body: `<?xml version="1.0"?>${body}`,
});
const described =
  xml(`<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item>
  <ownerId>000000000077</ownerId><instancesSet><item>
    <instanceId>${document.instanceId}</instanceId><instanceState><code>16</code><name>running</name></instanceState>
    <rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>
    <tagSet><item><key>Name</key><value>aws-node-0</value></item><item><key>bare</key><value/></item></tagSet>
    <groupSet><item><groupId>sg-1</groupId><groupName>nodes</groupName></item></groupSet>
    <iamInstanceProfile><arn>arn:aws:iam::000000000077:instance-profile/node-aws</arn></iamInstanceProfile>
    <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><attachTime>2026-11-24T11:58:30.000Z</attachTime></ebs></item></blockDeviceMapping>
    <networkInterfaceSet><item><attachment><deviceIndex>0</deviceIndex><attachTime>2026-11-24T11:58:00.000Z</attachTime></attachment></item></networkInterfaceSet>
  </item></instancesSet></item></reservationSet></DescribeInstancesResponse>`);
const empty = xml('<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>');
const profile = xml(`<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile>
  <InstanceProfileName>node-aws</InstanceProfileName><InstanceProfileId>AIP</InstanceProfileId><Path>/</Path><Arn>arn:aws:iam::000000000077:instance-profile/node-aws</Arn>
  <CreateDate>2026-11-24T11:00:00Z</CreateDate><Roles><member><Path>/</Path><RoleName>node-aws</RoleName><RoleId>ARO</RoleId>
  <Arn>arn:aws:iam::000000000077:role/node-aws</Arn><CreateDate>2026-11-24T11:00:00Z</CreateDate></member></Roles>
</InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>`);
const assumed = (action: Action): Answer =>
  xml(`<${action}Response><${action}Result><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
  <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></${action}Result></${action}Response>`);
const denied: Answer = {
  ...xml(
    '<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>arn:aws:sts::000000000077:assumed-role/secret-name may not</Message></Error></Errors></Response>',
  ),
  status: 403,
};
const missing: Answer = {
  ...xml(
    '<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>no</Message></Error></Errors></Response>',
  ),
  status: 400,
};

beforeAll(async () => {
  aws = await startHttpService(({ body }) => {
    const parameters = new URLSearchParams(body);
    asked.push(parameters);
    return answers[parameters.get('Action') as Action] ?? { status: 400 };
  });
  metadata = await startHttpService(() => ({ headers: { 'Metadata-Flavor': 'Google' }, body: 'gce.identity.token\n' }));
});
afterAll(() => Promise.all([aws.close(), metadata.close()]));
beforeEach(() => {
  vi.stubEnv('AWS_ENDPOINT_URL', aws.url);
  answers = {
    DescribeInstances: described,
    GetInstanceProfile: profile,
    AssumeRole: assumed('AssumeRole'),
    AssumeRoleWithWebIdentity: assumed('AssumeRoleWithWebIdentity'),
  };
  asked.length = 0;
  aws.requests.length = 0;
});
afterEach(() => vi.unstubAllEnvs());

const instances = (more: Record<string, unknown>) =>
  createAwsInstances(parseAwsIidConfig(more), { log, env: { GCE_METADATA_HOST: metadata.host } });
const signers = () =>
  aws.requests.map(({ headers }) =>
    /Credential=([^/]+)\/\d+\/([^/]+)\/([^/]+)/
      .exec(headers.authorization ?? '')
      ?.slice(1)
      .join(' '),
  );

describe('a question to AWS', () => {
  it('is for the instance of the document, in its region, pending or running', async () => {
    const record = await instances(keys).find(document, signal);
    expect(record).toEqual({
      instanceId: document.instanceId,
      accountId: '000000000077',
      tags: { Name: 'aws-node-0', bare: '' },
      securityGroups: [{ id: 'sg-1', name: 'nodes' }],
      instanceProfileArn: 'arn:aws:iam::000000000077:instance-profile/node-aws',
      rootDevice: { type: 'ebs', name: '/dev/xvda' },
      volumes: [{ deviceName: '/dev/xvda', attachedAt: new Date('2026-11-24T11:58:30Z') }],
      networkInterfaces: [{ deviceIndex: 0, attachedAt: new Date('2026-11-24T11:58:00Z') }],
    });
    expect(Object.fromEntries(asked[0] ?? [])).toMatchObject({
      'InstanceId.1': document.instanceId,
      'Filter.1.Name': 'instance-state-name',
      'Filter.1.Value.1': 'pending',
      'Filter.1.Value.2': 'running',
    });
    expect(signers()).toEqual(['AKIDEXAMPLE us-east-1 ec2']);
  });

  it('names the roles of an instance profile', async () => {
    expect(await instances(keys).roleArns(document, 'node-aws', signal)).toEqual([
      'arn:aws:iam::000000000077:role/node-aws',
    ]);
    expect(asked[0]?.get('InstanceProfileName')).toBe('node-aws');
  });

  it.each<[string, Answer]>([
    ['an empty answer', empty],
    ['an unknown instance', missing],
  ])('finds nothing in %s', async (_name, answer) => {
    answers.DescribeInstances = answer;
    expect(await instances(keys).find(document, signal)).toBeUndefined();
  });

  it('tells the caller that it was refused, and not what AWS said', async () => {
    answers.DescribeInstances = denied;
    await expectRefusal(
      instances(keys).find(document, signal),
      'INTERNAL',
      'CLOUD_UNAVAILABLE',
      /^failed to describe instance: UnauthorizedOperation$/,
    );
  });
});

describe('the rights of a question', () => {
  it("are those of the role in the node's account, where one is configured", async () => {
    await instances({ ...keys, assume_role: 'delegate', partition: 'aws-cn' }).find(document, signal);
    expect(asked[0]?.get('RoleArn')).toBe('arn:aws-cn:iam::000000000077:role/delegate');
    expect(signers()).toEqual(['AKIDEXAMPLE us-east-1 sts', 'ASIAROLE us-east-1 ec2']);
  });

  it("come from GCE's identity token, with no AWS key at all, and are kept while they last", async () => {
    const asker = instances({
      web_identity: [{ role_arn: 'arn:aws:iam::000000000077:role/attestor', audience: 'espalier' }],
    });
    await asker.find(document, signal);
    await asker.find(document, signal);
    expect(asked.map((parameters) => parameters.get('Action'))).toEqual([
      'AssumeRoleWithWebIdentity',
      'DescribeInstances',
      'DescribeInstances',
    ]);
    expect(Object.fromEntries(asked[0] ?? [])).toMatchObject({
      RoleArn: 'arn:aws:iam::000000000077:role/attestor',
      WebIdentityToken: 'gce.identity.token',
    });
    expect(metadata.requests.map(({ url }) => url)).toEqual([
      '/computeMetadata/v1/instance/service-accounts/default/identity?audience=espalier&format=full',
    ]);
    expect(signers()).toEqual([undefined, 'ASIAROLE us-east-1 ec2', 'ASIAROLE us-east-1 ec2']);
  });
});

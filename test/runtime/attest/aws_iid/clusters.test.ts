// Whether a node belongs to an EKS cluster, with a STAND-IN for EKS and Auto Scaling on loopback that answers as they do.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createClusters } from '../../../../runtime/attest/aws_iid/clusters.ts';
import { parseAwsIidConfig } from '../../../../runtime/attest/aws_iid/server-config.ts';
import { startHttpService } from '../http-service.ts';
import type { Answer, HttpService } from '../http-service.ts';
import { contextWith, expectRefusal, log, noChallenge, now } from '../server-context.ts';
import { evidence, removeFixture, server } from './attest-fixture.ts';
import { fakeAws } from './aws-fake.ts';
import { document } from './signed-document.ts';

const signal = new AbortController().signal;
let aws: HttpService;
let answers: Record<string, Answer>;
let time = now;

const groups = (...instances: string[]) => ({
  body: `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member><Tags><member>
    <Value>&lt;InstanceId&gt;i-0eee&lt;/InstanceId&gt;</Value></member></Tags><Instances>${instances
      .map((id) => `<member><InstanceId>${id}</InstanceId></member>`)
      .join(
        '',
      )}</Instances></member></AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
});

beforeAll(async () => {
  aws = await startHttpService(({ url, body }) => {
    const form = new URLSearchParams(body);
    return (
      answers[url === '/' ? `${form.get('AutoScalingGroupNames.member.1')} ${form.get('NextToken')}` : url] ?? {
        status: 404,
      }
    );
  });
});
afterAll(async () => {
  await aws.close();
  removeFixture();
});
beforeEach(() => {
  time = now;
  aws.requests.length = 0;
  answers = {
    '/clusters/prod/node-groups': { body: '{"nodegroups":["a"],"nextToken":"x(1)="}' },
    '/clusters/prod/node-groups?nextToken=x%281%29%3D': { body: '{"nodegroups":["b"]}' },
    '/clusters/prod/node-groups/a': { body: '{"nodegroup":{"resources":{"autoScalingGroups":[{"name":"asg a/1"}]}}}' },
    '/clusters/prod/node-groups/b': { body: '{"nodegroup":{}}' },
    'asg a/1 null': {
      body: groups('i-0fff').body.replace(
        '</DescribeAutoScalingGroupsResult>',
        '<NextToken>t</NextToken></DescribeAutoScalingGroupsResult>',
      ),
    },
    'asg a/1 t': groups(document.instanceId),
  };
});

function check(instanceId = document.instanceId, clusters = made()): Promise<void> {
  return clusters.checkNode({ ...document, instanceId }, signal);
}
function made() {
  const keys = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'secret' };
  const config = parseAwsIidConfig({ ...keys, validate_eks_cluster_membership: [{ eks_cluster_names: ['prod'] }] });
  return createClusters(config, { log, clock: () => time, env: { AWS_ENDPOINT_URL: aws.url } })!;
}

describe('a node', () => {
  it('is looked for in every page of every group', async () => {
    await check();
    expect(
      aws.requests.map(({ method, url, headers }) => [
        method,
        url,
        /\/([a-z]+)\/aws4/.exec(headers.authorization ?? '')?.[1],
      ]),
    ).toEqual([
      ['GET', '/clusters/prod/node-groups', 'eks'],
      ['GET', '/clusters/prod/node-groups/a', 'eks'],
      ['POST', '/', 'autoscaling'],
      ['POST', '/', 'autoscaling'],
      ['GET', '/clusters/prod/node-groups?nextToken=x%281%29%3D', 'eks'],
      ['GET', '/clusters/prod/node-groups/b', 'eks'],
    ]);
  });

  it('is known for 30 s without asking again', async () => {
    const clusters = made();
    await check(document.instanceId, clusters);
    time += 29_999;
    await check(document.instanceId, clusters);
    expect(aws.requests).toHaveLength(6);
    time += 1;
    answers['asg a/1 t'] = groups();
    await expectRefusal(check(document.instanceId, clusters), 'PERMISSION_DENIED', 'NOT_IN_CLUSTER');
  });

  it.each(['i-0abc', 'i-0eee'])('of none of the groups is refused, also when a tag names it: %s', async (instance) => {
    await expectRefusal(
      check(instance),
      'PERMISSION_DENIED',
      'NOT_IN_CLUSTER',
      /is not part of configured EKS cluster$/,
    );
  });

  it('of one account is none of another', async () => {
    const asked: string[] = [];
    const config = parseAwsIidConfig({ validate_eks_cluster_membership: [{ eks_cluster_names: ['prod'] }] });
    const clusters = createClusters(config, {
      log,
      clock: () => time,
      listClusterNodes: async ({ region, accountId }) => {
        asked.push(`${region} ${accountId}`);
        return new Set(accountId === document.accountId ? [document.instanceId] : []);
      },
    })!;
    await clusters.checkNode(document, signal);
    const elsewhere = clusters.checkNode({ ...document, accountId: '000000000078' }, signal);
    await expectRefusal(elsewhere, 'PERMISSION_DENIED', 'NOT_IN_CLUSTER');
    expect(asked).toEqual(['us-east-1 000000000077', 'us-east-1 000000000078']);
  });

  it.each<[string, string, Answer]>([
    ['EKS refuses', '/clusters/prod/node-groups', { status: 403, body: '{}' }],
    ['EKS answers no JSON', '/clusters/prod/node-groups', { body: '<html>' }],
    ['a group has a name that is a path', '/clusters/prod/node-groups', { body: '{"nodegroups":["../x"]}' }],
    ['the second page fails', '/clusters/prod/node-groups?nextToken=x%281%29%3D', { status: 500 }],
    [
      'Auto Scaling answers something else',
      'asg a/1 t',
      { body: `<a><InstanceId>${document.instanceId}</InstanceId></a>` },
    ],
  ])('is refused when %s', async (_, place, answer) => {
    answers[place] = answer;
    await expectRefusal(
      check(),
      'INTERNAL',
      'CLOUD_UNAVAILABLE',
      /^failed to verify that instance i-\w+ is a node of an EKS cluster$/,
    );
  });
});

it('the attestor refuses a stranger before it asks about the instance', async () => {
  const asked = { ...fakeAws(), find: () => Promise.reject(new Error('AWS was asked')) };
  const keys = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'secret' };
  const judge = server({ ...keys, validate_eks_cluster_membership: [{ eks_cluster_names: ['prod'] }] }, asked, {
    env: { AWS_ENDPOINT_URL: aws.url },
  });
  answers['asg a/1 t'] = groups();
  await expectRefusal(judge.attest(evidence(), noChallenge, contextWith()), 'PERMISSION_DENIED', 'NOT_IN_CLUSTER');
});

// Whether a node's account belongs to the organization: the list and how long it is believed, and the signed question to a STAND-IN for AWS on loopback.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createOrganization } from '../../../../runtime/attest/aws_iid/organization.ts';
import type { ListAccounts } from '../../../../runtime/attest/aws_iid/organization.ts';
import { createAwsIidServerAttestor } from '../../../../runtime/attest/aws_iid/server.ts';
import { parseAwsIidConfig } from '../../../../runtime/attest/aws_iid/server-config.ts';
import { signRequest } from '../../../../runtime/attest/aws_iid/sign-request.ts';
import { startHttpService } from '../http-service.ts';
import type { Answer, HttpService } from '../http-service.ts';
import { clock, contextWith, expectRefusal, log, noChallenge, now, trustDomain } from '../server-context.ts';
import { directory, evidence, removeFixture, server } from './attest-fixture.ts';
import { fakeAws } from './aws-fake.ts';

const member = '000000000077';
const other = '000000000078';
const byRole = { management_account_id: '000000000001', assume_org_role: 'list-accounts' };
const signal = new AbortController().signal;
const file = join(directory, 'accounts.json');
afterAll(removeFixture);

/** An organization whose list and time the test sets. */
function organizationOf(accounts: string[], block: Record<string, unknown> = byRole) {
  const state = { accounts, time: now, lists: 0 };
  const listAccounts: ListAccounts = () => {
    state.lists += 1;
    return state.accounts.length === 0
      ? Promise.reject(new Error('throttled'))
      : Promise.resolve(new Set(state.accounts));
  };
  const config = parseAwsIidConfig({ verify_organization: [block] });
  const organization = createOrganization(config, { log, clock: () => state.time, listAccounts })!;
  return { state, check: (account: string) => organization.checkMember(account, signal) };
}
const refused = (attempt: Promise<unknown>) => expectRefusal(attempt, 'PERMISSION_DENIED', 'NOT_IN_ORGANIZATION');

describe('the list of members', () => {
  it('is read once for many, and again when its time is over', async () => {
    const { state, check } = organizationOf([member]);
    await Promise.all([check(member), check(member)]);
    await check(member);
    expect(state.lists).toBe(1);
    state.time += 180_000;
    state.accounts = [other];
    await refused(check(member));
    expect(state.lists).toBe(2);
  });

  it('is believed for as long as is configured', async () => {
    const { state, check } = organizationOf([member], { ...byRole, org_account_map_ttl: '15m' });
    await check(member);
    state.time += 899_999;
    await check(member);
    expect(state.lists).toBe(1);
  });

  it('is read again for an account that is not on it, five times in its time', async () => {
    const { state, check } = organizationOf([other]);
    await refused(check(member));
    state.accounts = [other, member];
    await check(member);
    expect(state.lists).toBe(2);
    for (let i = 0; i < 10; i += 1) await refused(check('000000000099'));
    expect(state.lists).toBe(6);
  });

  it('lets nobody in when it cannot be read, also when it could be before', async () => {
    const { state, check } = organizationOf([member]);
    await check(member);
    state.accounts = [];
    state.time += 180_000;
    const message = `failed to verify that account ${member} belongs to the organization`;
    await expectRefusal(check(member), 'INTERNAL', 'CLOUD_UNAVAILABLE', message);
    state.accounts = [member];
    await check(member);
  });
});

describe('a node', () => {
  const judge = (accounts: string[]) => {
    writeFileSync(file, JSON.stringify(accounts));
    return server({ verify_organization: [{ account_list_file: file }] });
  };
  const attest = (accounts: string[]) => judge(accounts).attest(evidence(), noChallenge, contextWith());

  it('of an account in the file is taken', async () => {
    await expect(attest([member])).resolves.toBeDefined();
  });

  it.each([[[other]], [[]]])(
    'of an account that is not in %j is refused, before AWS is asked about it',
    async (accounts) => {
      writeFileSync(file, JSON.stringify(accounts));
      const aws = { ...fakeAws(), find: () => Promise.reject(new Error('AWS was asked')) };
      const refusing = server({ verify_organization: [{ account_list_file: file }] }, aws);
      await refused(refusing.attest(evidence(), noChallenge, contextWith()));
    },
  );

  it('is refused when the file has gone bad', async () => {
    const good = judge([member]);
    writeFileSync(file, 'half a li');
    await expectRefusal(good.attest(evidence(), noChallenge, contextWith()), 'INTERNAL', 'CLOUD_UNAVAILABLE');
  });
});

describe('the configuration', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [{}, /either account_list_file, or management_account_id and assume_org_role/],
    [{ management_account_id: '000000000001' }, /either account_list_file/],
    [{ ...byRole, account_list_file: 'x' }, /either account_list_file/],
    [{ ...byRole, management_account_id: '1' }, /must be an account ID of 12 digits/],
    [{ ...byRole, org_account_map_ttl: '59s' }, /org_account_map_ttl: must be 1m or more/],
    [{ ...byRole, org_account_map_ttl: '5' }, /missing unit/],
    [{ ...byRole, region: 'x' }, /unknown key "region"/],
    [{ account_list_file: '/none.json' }, /verify_organization.account_list_file: ENOENT/],
    [{ account_list_file: 'package.json' }, /package.json is not a JSON array of account IDs/],
  ])('%j is refused', (block, message) => {
    expect(() => createAwsIidServerAttestor({ verify_organization: [block] }, { trustDomain, log, clock })).toThrow(
      message,
    );
  });
});

describe('the question to AWS', () => {
  let aws: HttpService;
  let pages: Answer[];
  const role: Answer = {
    headers: { 'Content-Type': 'text/xml' },
    body: `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
      <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
  };
  beforeAll(async () => {
    aws = await startHttpService(({ headers }) =>
      headers['x-amz-target'] === undefined ? role : (pages.shift() ?? { status: 500 }),
    );
  });
  afterAll(() => aws.close());
  beforeEach(() => {
    vi.stubEnv('AWS_ENDPOINT_URL', aws.url);
    aws.requests.length = 0;
  });
  afterEach(() => vi.unstubAllEnvs());

  const page = (accounts: [string, string][], NextToken?: string): Answer => ({
    body: JSON.stringify({ Accounts: accounts.map(([Id, Status]) => ({ Id, Status })), NextToken }),
  });
  const check = (account: string) => {
    const keys = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'secret' };
    const config = parseAwsIidConfig({ ...keys, verify_organization: [byRole] });
    return createOrganization(config, { log, clock })!.checkMember(account, signal);
  };

  it('is asked with the role of the management account, page by page', async () => {
    pages = [page([[other, 'ACTIVE']], 'next'), page([[member, 'ACTIVE']])];
    await check(member);
    const [sts, ...lists] = aws.requests;
    expect(new URLSearchParams(sts?.body).get('RoleArn')).toBe('arn:aws:iam::000000000001:role/list-accounts');
    expect(lists.map(({ method, url, body, headers }) => [method, url, body, headers['x-amz-target']])).toEqual([
      ['POST', '/', '{}', 'AWSOrganizationsV20161128.ListAccounts'],
      ['POST', '/', '{"NextToken":"next"}', 'AWSOrganizationsV20161128.ListAccounts'],
    ]);
    for (const { headers } of lists) {
      expect(headers['x-amz-security-token']).toBe('session');
      expect(headers.authorization).toMatch(
        /^AWS4-HMAC-SHA256 Credential=ASIAROLE\/\d{8}\/us-east-1\/organizations\/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=[0-9a-f]{64}$/,
      );
    }
  });

  it.each(['SUSPENDED', 'PENDING_CLOSURE'])('leaves out an account that is %s', async (status) => {
    pages = [page([[member, status]])];
    await refused(check(member));
  });

  it.each<[string, Answer[]]>([
    ['is refused', [{ status: 400, body: '{"__type":"AccessDeniedException"}' }]],
    ['is not answered with JSON', [{ body: '<html>' }]],
    ['is not answered with accounts', [{ body: '{}' }]],
    ['is answered with too much', [{ body: ' '.repeat(4_200_000) }]],
    ['fails at the second page', [page([[member, 'ACTIVE']], 'next'), { status: 500 }]],
  ])('lets nobody in when it %s', async (_, answers) => {
    pages = answers;
    await expectRefusal(check(member), 'INTERNAL', 'CLOUD_UNAVAILABLE');
  });

  // AWS's own test vector "post-vanilla".
  it('is signed as AWS says', () => {
    const { authorization } = signRequest({
      method: 'POST',
      url: 'https://example.amazonaws.com',
      body: '',
      headers: {},
      service: 'service',
      region: 'us-east-1',
      keys: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
      now: new Date('2015-08-30T12:36:00Z'),
    });
    expect(authorization).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
    );
  });
});

// aws_iid's judgement of instances, what it says of the good ones, and its configuration.
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { AttestCode, AttestRefusal } from '../../../../runtime/attest/attest-error.ts';
import type { InstanceRecord } from '../../../../runtime/attest/aws_iid/instance-record.ts';
import { expectRefusal } from '../server-context.ts';
import { agentPath, attest, directory, evidence, removeFixture, server } from './attest-fixture.ts';
import { fakeAws, instance } from './aws-fake.ts';
import type { Pkcs7Input } from './signed-document.ts';

afterAll(removeFixture);

describe('aws_iid accepts', () => {
  it('a document that AWS signed, and says what AWS knows about the instance', async () => {
    const aws = fakeAws();
    const { spiffeId, selectors, canReattest } = await attest(evidence(), server({}, aws));
    expect(spiffeId.toString()).toBe(`spiffe://example.org${agentPath}`);
    expect(selectors.every(({ type }) => type === 'aws_iid')).toBe(true);
    expect(selectors.map(({ value }) => value)).toEqual([
      'account_id:000000000077',
      'az:us-east-1a',
      'iamrole:arn:aws:iam::000000000077:role/node-aws',
      'image:id:ami-0123456789abcdef0',
      'instance:id:i-0abc0000000000001',
      'region:us-east-1',
      'sg:id:sg-1',
      'sg:name:nodes',
      'tag:Name:aws-node-0',
      'tag:bare:',
      'tag:espalier-trust-domain:example.org',
    ]);
    expect(aws.profiles).toEqual(['node-aws']);
    expect(canReattest).toBe(false);
  });

  it.each<[string, Partial<Pkcs7Input>]>([
    ['signed directly, without attributes', { attributes: false }],
    ['in BER with open lengths and the content in pieces', { ber: true }],
    ['in BER without attributes', { ber: true, attributes: false }],
    ['with its certificate inside', { certificates: true }],
  ])('a signature %s', async (_name, signature) => {
    await expect(attest(evidence(signature))).resolves.toBeDefined();
  });

  it('no question about roles where they are switched off or there is no profile', async () => {
    const off = fakeAws();
    await attest(evidence(), server({ disable_instance_profile_selectors: true }, off));
    const none = fakeAws({ ...instance, instanceProfileArn: undefined });
    await attest(evidence(), server({}, none));
    expect([...off.profiles, ...none.profiles]).toEqual([]);
  });

  it('a path from tags', async () => {
    const judge = server({
      agent_path_template: '/aws_iid/{{ .Tags.Name }}/{{ index .Tags "espalier-trust-domain" }}',
    });
    expect((await attest(evidence(), judge)).spiffeId.path).toBe('/spire/agent/aws_iid/aws-node-0/example.org');
  });
});

describe('aws_iid refuses an instance', () => {
  const facts: [string, InstanceRecord | undefined, AttestCode, AttestRefusal][] = [
    ['that AWS does not have, or has stopped', undefined, 'INTERNAL', 'INSTANCE_NOT_FOUND'],
    ['of another ID', { ...instance, instanceId: 'i-0bbb' }, 'PERMISSION_DENIED', 'INSTANCE_MISMATCH'],
    ['of another account', { ...instance, accountId: '000000000078' }, 'PERMISSION_DENIED', 'INSTANCE_MISMATCH'],
    [
      'without its first network interface',
      { ...instance, networkInterfaces: instance.networkInterfaces.slice(0, 1) },
      'INTERNAL',
      'NETWORK_INTERFACE_MISSING',
    ],
    [
      'without its root volume',
      { ...instance, volumes: instance.volumes.slice(0, 1) },
      'INTERNAL',
      'ROOT_VOLUME_MISSING',
    ],
    [
      'whose root volume has no name',
      { ...instance, rootDevice: { type: 'ebs', name: undefined } },
      'INTERNAL',
      'ROOT_VOLUME_MISSING',
    ],
    [
      'whose root volume came 61 s later',
      { ...instance, volumes: [{ deviceName: '/dev/xvda', attachedAt: new Date('2026-11-24T11:59:01Z') }] },
      'PERMISSION_DENIED',
      'ROOT_VOLUME_SWAPPED',
    ],
  ];
  it.each(facts)('%s', async (_name, record, code, refusal) => {
    const aws = { ...fakeAws(), find: async () => record };
    await expectRefusal(attest(evidence(), server({}, aws)), code, refusal);
  });

  it('unless the check of the root volume is off, its account is trusted, or the disk cannot be detached', async () => {
    const swapped = { ...instance, volumes: [] };
    await expect(attest(evidence(), server({ skip_block_device: true }, fakeAws(swapped)))).resolves.toBeDefined();
    await expect(
      attest(evidence(), server({ account_ids_for_local_validation: ['000000000077'] }, fakeAws(swapped))),
    ).resolves.toBeDefined();
    const store = { ...swapped, rootDevice: { type: 'instance-store', name: undefined } };
    await expect(attest(evidence(), server({}, fakeAws(store)))).resolves.toBeDefined();
  });

  it('whose tags climb out of the agent path, or do not give it', async () => {
    const judge = server(
      { agent_path_template: '/aws_iid/{{ .Tags.Name }}' },
      fakeAws({ ...instance, tags: { Name: '../../server' } }),
    );
    await expectRefusal(attest(evidence(), judge), 'INTERNAL', 'AGENT_PATH', /not a SPIFFE ID path/);
    const missing = server({ agent_path_template: '/aws_iid/{{ .Tags.Name }}' }, fakeAws({ ...instance, tags: {} }));
    await expectRefusal(attest(evidence(), missing), 'INTERNAL', 'AGENT_PATH', /does not have/);
  });
});

describe('the configuration of aws_iid', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [
      { validate_eks_cluster_membership: [{ eks_cluster_names: [] }] },
      /validate_eks_cluster_membership\.eks_cluster_names/,
    ],
    [{ acces_key_id: 'x' }, /unknown key "acces_key_id"/],
    [{ access_key_id: 'x' }, /go together/],
    [
      {
        access_key_id: 'x',
        secret_access_key: 'y',
        web_identity: [{ role_arn: 'arn:aws:iam::000000000077:role/a', audience: 'b' }],
      },
      /only one of/,
    ],
    [{ web_identity: [{ role_arn: 'role/a' }] }, /web_identity\.role_arn.*web_identity\.audience/],
    [{ validate_eks_cluster_membership: [{ eks_cluster_names: ['a/../b'] }] }, /must be names of EKS clusters/],
    [{ partition: 'aws-iso' }, /partition/],
    [{ region_certificates: [{ 'us-east-1': '/nowhere.pem' }] }, /region_certificates: ENOENT/],
  ])('refuses %j', (data, message) => {
    expect(() => server(data)).toThrow(message);
  });

  it('refuses a region certificate file that does not hold exactly one', () => {
    expect(() => server({ region_certificates: [{ 'us-east-1': join(directory, 'two.pem') }] })).toThrow(
      /found 2 certificates, want 1/,
    );
  });
});

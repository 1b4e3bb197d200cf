// AWS as aws_iid sees it: instances by ID, and the roles of instance profiles.
import type { AwsInstances, InstanceRecord } from '../../../../runtime/attest/aws_iid/instance-record.ts';
import { document } from './signed-document.ts';

export const launched = new Date('2026-11-24T11:58:00Z');

export const instance: InstanceRecord = {
  instanceId: document.instanceId,
  accountId: document.accountId,
  tags: { Name: 'aws-node-0', 'espalier-trust-domain': 'example.org', bare: '' },
  securityGroups: [{ id: 'sg-1', name: 'nodes' }],
  instanceProfileArn: 'arn:aws:iam::000000000077:instance-profile/some/path/node-aws',
  rootDevice: { type: 'ebs', name: '/dev/xvda' },
  volumes: [
    { deviceName: '/dev/sdf', attachedAt: new Date('2026-11-24T12:30:00Z') },
    { deviceName: '/dev/xvda', attachedAt: new Date('2026-11-24T11:58:30Z') },
  ],
  networkInterfaces: [
    { deviceIndex: 1, attachedAt: new Date('2026-11-24T12:30:00Z') },
    { deviceIndex: 0, attachedAt: launched },
  ],
};

/** Remembers which profiles it was asked for. */
export function fakeAws(record: InstanceRecord | undefined = instance): AwsInstances & { readonly profiles: string[] } {
  const profiles: string[] = [];
  return {
    profiles,
    find: async () => record,
    roleArns: async (_document, name) => {
      profiles.push(name);
      return ['arn:aws:iam::000000000077:role/node-aws'];
    },
  };
}

// What is Azure's own in the kinds that can be there: what is refused, what is granted and when, and what stays.
import { expect, it } from 'vitest';
import type { Json } from '../../crossplane/functions/composed.ts';
import { runFunction } from '../../crossplane/functions/run-function.ts';
import { Ready } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { requestFor } from './requests.ts';
import { cases } from './specs.ts';

const caseOf = (name: string) => cases.find((each) => each.name === name)!;
const reports = (atProvider: Json): Json => ({ status: { atProvider } });
const partsOf = (name: string, parts: Record<string, Json>) =>
  runFunction(requestFor({ ...caseOf(name), observed: {} }, 'namespaced', parts)).desired!;
const grants = (name: string, parts: Record<string, Json>): string[] =>
  Object.keys(partsOf(name, parts).resources).filter((part) => part.startsWith('grant-'));
const principal = reports({ principalId: '7' });

it.for(['server-pool-azure-full', 'identity-azure'])(
  'what %s may read is granted once there is somebody to grant it to, and stays when that is not reported',
  (name) => {
    expect(grants(name, {})).toEqual([]);
    expect(partsOf(name, {}).composite!.ready).toBe(Ready.READY_FALSE);
    const granted = grants(name, { identity: principal });
    expect(granted).toHaveLength(2);
    expect(grants(name, { [granted[1]!]: principal })).toEqual(granted);
    expect(partsOf(name, { identity: principal }).composite!.ready).toBe(Ready.READY_UNSPECIFIED);
  },
);

it('each rule of a group has a priority of its own, whatever other rules there are', () => {
  const priorities = (name: string): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(partsOf(name, {}).resources)
        .filter(([, { resource }]) => resource!['kind'] === 'SecurityRule')
        .map(([part, { resource }]) => [
          part,
          (resource as { spec: { forProvider: Json } }).spec.forProvider['priority'],
        ]),
    );
  const few = priorities('network-azure');
  const many = priorities('network-azure-full');
  expect(Object.keys(many).length).toBeGreaterThan(Object.keys(few).length);
  expect(many).toMatchObject(few);
  const ours = Object.values(many).filter((priority) => priority !== 4096);
  expect(new Set(ours).size).toBe(ours.length);
});

it.for([
  ['namespaced', { kind: 'SpireNetwork', resourceRef: { name: 'network' } }],
  [
    'legacy',
    {
      kind: 'XSpireNetwork',
      resourceSelector: {
        matchLabels: { 'crossplane.io/claim-namespace': 'trust', 'crossplane.io/claim-name': 'network' },
      },
    },
  ],
] as const)('a network stays as long as what stands in it, %s', ([flavour, network]) => {
  for (const name of ['server-pool-azure', 'node-pool-azure', 'datastore-azure'])
    expect(runFunction(requestFor(caseOf(name), flavour)).desired!.resources['usage-network']!.resource).toMatchObject({
      spec: { of: network, by: { resourceSelector: { matchControllerRef: true } } },
    });
});

it('nobody logs in, and no boot script is a secret', () => {
  const group = partsOf('server-pool-azure-full', {}).resources['instance-group']!.resource as {
    spec: { forProvider: Json };
  };
  expect(group.spec.forProvider).toMatchObject({
    disablePasswordAuthentication: true,
    encryptionAtHostEnabled: true,
  });
  expect(Object.keys(group.spec.forProvider)).not.toContain('customDataSecretRef');
  expect(Object.keys(group.spec.forProvider)).not.toContain('adminPasswordSecretRef');
});

it('a datastore that is protected stays in the cloud, with its resource group, when its object goes', () => {
  const policies = (name: string): unknown[] =>
    ['instance', 'resource-group'].map(
      (part) =>
        (partsOf(name, {}).resources[part]!.resource as { spec: { managementPolicies?: readonly string[] } }).spec
          .managementPolicies,
    );
  const kept = ['Observe', 'Create', 'Update', 'LateInitialize'];
  expect(policies('datastore-azure')).toEqual([kept, kept]);
  expect(policies('datastore-azure-fleeting')).toEqual([undefined, undefined]);
});

it.for([
  [
    'a region that is not of its cloud',
    'network-azure',
    { region: 'us-east-1' },
    'spec.region: us-east-1 is no region of azure',
  ],
  [
    'a region of Azure elsewhere',
    'network-aws',
    { region: 'westeurope' },
    'spec.region: westeurope is no region of aws',
  ],
  [
    'no subscription in azure',
    'server-pool-azure-full',
    { subscription: undefined },
    'spec.subscription: is needed in azure',
  ],
  [
    'no public key in azure',
    'server-pool-azure-full',
    { sshPublicKey: undefined },
    'spec.sshPublicKey: is needed in azure',
  ],
  [
    'a private key as the public one',
    'server-pool-azure-full',
    { sshPublicKey: '-----BEGIN OPENSSH PRIVATE KEY-----' },
    'spec.sshPublicKey: must be a public key',
  ],
  [
    'secrets of no vault in azure',
    'server-pool-azure-full',
    { vaultId: undefined },
    'spec.vaultId: is needed for secrets in azure',
  ],
  ['a cluster in azure', 'node-pool-azure', { platform: 'kubernetes' }, 'spec.platform: is machines in azure'],
  ['more nodes than azure has in a group', 'node-pool-azure', { nodes: 1001 }, 'spec.nodes: is at most 1000 in azure'],
  [
    'backups that azure does not keep so short',
    'datastore-azure',
    { backupDays: 6 },
    'spec.backupDays: is at least 7 in azure',
  ],
  [
    'no private zone in azure',
    'datastore-azure',
    { privateDnsZoneId: undefined },
    'spec.privateDnsZoneId: is needed in azure',
  ],
  ['an identity of azure without a place', 'identity-azure', { region: undefined }, 'spec.region: is needed in azure'],
  [
    'a whole trust domain in azure',
    'trust-domain',
    { upstream: { cloud: 'azure', region: 'westeurope' } },
    'upstream.cloud: ',
  ],
] as const)('%s is refused', ([, name, change, message]) => {
  const given = caseOf(name);
  const { results } = runFunction(requestFor({ ...given, spec: { ...given.spec, ...change } }, 'namespaced'));
  expect(results.map((result) => result.message)).toEqual([expect.stringContaining(message)]);
});

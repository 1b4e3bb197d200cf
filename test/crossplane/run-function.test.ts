// One run of the function: what it refuses, what it hands on, when it calls a part ready, and what it tells of the parts.
import { describe, expect, it } from 'vitest';
import { databaseSecretName } from '../../activities/cloud.ts';
import type { Json } from '../../crossplane/functions/composed.ts';
import { runFunction } from '../../crossplane/functions/run-function.ts';
import { Ready, RunFunctionRequest, Severity } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { requestFor } from './requests.ts';
import { cases } from './specs.ts';

const network = cases.find(({ name }) => name === 'network-aws')!;
const datastore = { ...cases.find(({ name }) => name === 'datastore-gcp')!, observed: {} };
const serverPool = cases.find(({ name }) => name === 'server-pool-aws')!;
const whole = cases.find(({ name }) => name === 'trust-domain')!;
const grown = cases.find(({ name }) => name === 'trust-domain-grown')!;
const clustered = cases.find(({ name }) => name === 'trust-domain-clustered')!;
const machine = cases.find(({ name }) => name === 'machine-aws')!;
const identity = cases.find(({ name }) => name === 'identity-gcp')!;
const segment = (whole.spec['segments'] as readonly Json[])[0];
const shop = (clustered.spec['clusters'] as readonly Json[])[0];
const cluster = cases.find(({ name }) => name === 'node-pool-eks')!;

const observed = (fields: Json = {}, conditions: readonly Json[] = standing): Json => ({
  metadata: { generation: 2 },
  status: { conditions, ...fields },
});
const standing = [
  { type: 'Synced', status: 'True' },
  { type: 'Ready', status: 'True', observedGeneration: 2 },
];

describe('a run', () => {
  it.for([
    ['an unknown region', { ...network, spec: { ...network.spec, region: 'Mars' } }, 'spec.region: '],
    [
      'a network of workloads that is none',
      { ...network, spec: { ...network.spec, workloadCidrs: ['10.1.0.0/99'] } },
      'spec.workloadCidrs.0: must be an IPv4 network',
    ],
    ['an unknown field', { ...network, spec: { ...network.spec, colour: 'red' } }, 'Unrecognized key: "colour"'],
    ['no project in gcp', { ...datastore, spec: { ...datastore.spec, project: undefined } }, 'spec.project: '],
    [
      'no password in gcp',
      { ...datastore, spec: { ...datastore.spec, passwordSecretRef: undefined } },
      'spec.passwordSecretRef: ',
    ],
    ['no account in aws', { ...serverPool, spec: { ...serverPool.spec, account: undefined } }, 'spec.account: '],
    [
      'a private key in a boot script',
      { ...serverPool, spec: { ...serverPool.spec, bootScript: 'echo BEGIN PRIVATE KEY' } },
      'spec.bootScript: must not hold a private key',
    ],
    [
      'a password in a boot script',
      { ...serverPool, spec: { ...serverPool.spec, bootScript: 'export A=postgres://spire:secret@db/spire' } },
      'spec.bootScript: must not hold an address with a password',
    ],
    [
      'a broken lattice',
      { ...whole, spec: { ...whole.spec, ttl: { x509Svid: '3h' } } },
      'segments[0].intermediateTtl: TTL lattice broken',
    ],
    ['a cloud that nothing is said of', { ...whole, spec: { ...whole.spec, aws: undefined } }, 'spec.aws: is needed'],
    [
      'two segments of one name',
      { ...whole, spec: { ...whole.spec, segments: [segment, segment] } },
      'segments[1]: duplicate name',
    ],
    [
      'a cluster with the name of a segment',
      { ...clustered, spec: { ...clustered.spec, clusters: [{ ...shop, name: 'gcp' }] } },
      'clusters[0].name: a segment has the name "gcp" already',
    ],
    [
      'a workload of a cluster that is not there',
      { ...clustered, spec: { ...clustered.spec, clusters: undefined } },
      'workloads[0].segment: no segment has the name "shop"',
    ],
    [
      'a secret of another namespace',
      { ...datastore, spec: { ...datastore.spec, passwordSecretRef: { name: 'a', key: 'b', namespace: 'theirs' } } },
      'spec.passwordSecretRef.namespace: must be trust, not theirs',
    ],
    [
      'a private key in the boot script of a machine',
      { ...machine, spec: { ...machine.spec, bootScript: 'echo BEGIN PRIVATE KEY' } },
      'spec.bootScript: must not hold a private key',
    ],
    ['a machine without an owner', { ...machine, spec: { ...machine.spec, owner: undefined } }, 'spec.owner: '],
    [
      'a web identity in gcp',
      { ...identity, spec: { ...identity.spec, webIdentity: { subject: '1', audience: 'a' } } },
      'spec.webIdentity: is of aws alone',
    ],
    [
      'names for the machines of workflows',
      { ...grown, spec: { ...grown.spec, domain: 'example.internal' } },
      'spec.domain: is of load balancers',
    ],
    [
      'a cluster where workflows make machines',
      { ...grown, spec: { ...grown.spec, nodePlatform: 'kubernetes' } },
      'spec.nodePlatform: workflows make machines, not clusters',
    ],
    ['an unknown kind', { ...network, kind: 'SpireMoon' }, 'this function does not build SpireMoon'],
    [
      'a network without room for subnets',
      { ...network, spec: { ...network.spec, cidr: '10.1.0.0/26' } },
      'too small for subnets: 10.1.0.0/26',
    ],
  ] as const)('refuses %s, and wants what was wanted before', ([, given, message]) => {
    const request = requestFor(given, 'namespaced');
    const before = {
      composite: undefined,
      resources: { other: { resource: { kind: 'Other' }, connectionDetails: {}, ready: Ready.READY_TRUE } },
    };
    const answer = runFunction({ ...request, desired: before });
    expect(answer.results).toMatchObject([
      { severity: Severity.SEVERITY_FATAL, message: expect.stringContaining(message) as string },
    ]);
    expect(answer.desired).toEqual(before);
  });

  it('refuses a request without a composite resource', () => {
    expect(runFunction(RunFunctionRequest.fromPartial({})).results).toMatchObject([
      { severity: Severity.SEVERITY_FATAL },
    ]);
  });

  it('hands on what other functions want, their context and the tag', () => {
    const other = { resource: { kind: 'Other' }, connectionDetails: {}, ready: Ready.READY_TRUE };
    const request = requestFor(network, 'namespaced');
    const answer = runFunction({
      ...request,
      desired: { composite: undefined, resources: { other } },
      context: { a: 'b' },
    });
    expect(answer.desired?.resources).toMatchObject({ other, vpc: { resource: { kind: 'VPC' } } });
    expect(answer).toMatchObject({ meta: { tag: 'a-tag', ttl: { seconds: 60 } }, context: { a: 'b' } });
  });

  it('answers the same request twice alike', () => {
    expect(runFunction(requestFor(network, 'legacy'))).toEqual(runFunction(requestFor(network, 'legacy')));
  });

  it('keeps two namespaces apart', () => {
    const request = requestFor(network, 'namespaced');
    const composite = request.observed!.composite!.resource!;
    const elsewhere = { ...composite, metadata: { name: 'network', namespace: 'elsewhere' } };
    const labelsIn = (resource: Json): unknown =>
      (
        runFunction(RunFunctionRequest.fromPartial({ observed: { composite: { resource } } })).desired!.resources[
          'vpc'
        ]!.resource as { metadata: Json }
      ).metadata['labels'];
    expect(labelsIn(composite)).not.toEqual(labelsIn(elsewhere));
  });
});

describe('a part is ready', () => {
  const wanted = runFunction(requestFor(network, 'namespaced')).desired!.resources['vpc']!.resource!['spec'] as Json;
  const readyOf = (part: Json | undefined): Ready =>
    runFunction(requestFor(network, 'namespaced', part === undefined ? {} : { vpc: { spec: wanted, ...part } }))
      .desired!.resources['vpc']!.ready;

  it('when it says so of its present generation, whatever its provider filled in', () => {
    const filled = { ...wanted, forProvider: { ...(wanted['forProvider'] as Json), instanceTenancy: 'default' } };
    expect(readyOf({ ...observed(), spec: filled })).toBe(Ready.READY_TRUE);
  });

  it.for([
    ['it is not there', undefined],
    ['it says nothing', { metadata: {} }],
    ['it is not', observed({}, [{ type: 'Ready', status: 'False' }])],
    ['it was, of an older generation', observed({}, [{ type: 'Ready', status: 'True', observedGeneration: 1 }])],
    [
      'what is wanted cannot be had',
      observed({}, [
        { type: 'Ready', status: 'True' },
        { type: 'Synced', status: 'False' },
      ]),
    ],
    ['it is not yet what is wanted', { ...observed(), spec: { forProvider: { cidrBlock: '10.9.0.0/16' } } }],
    [
      'one of its parts is not yet what is wanted',
      { ...observed(), spec: { ...wanted, forProvider: { ...(wanted['forProvider'] as Json), tags: {} } } },
    ],
    ['it is being deleted', { ...observed(), metadata: { generation: 2, deletionTimestamp: '2026-11-26T00:00:00Z' } }],
  ] as const)('not when %s', ([, part]) => {
    expect(readyOf(part)).toBe(Ready.READY_FALSE);
  });
});

describe('the status', () => {
  const statusOf = (kind: (typeof cases)[number], parts: Record<string, Json>): unknown =>
    runFunction(requestFor(kind, 'namespaced', parts)).desired!.composite!.resource!['status'];
  const at = (atProvider: Json): Json => observed({ atProvider });

  it('of a network names it and its subnets', () => {
    expect(
      statusOf(network, {
        vpc: at({ id: 'vpc-1' }),
        'subnet-a': at({ id: 'subnet-1' }),
        'subnet-b': at({ id: 'subnet-2' }),
      }),
    ).toEqual({
      networkId: 'vpc-1',
      subnetIds: ['subnet-1', 'subnet-2'],
      cidr: '10.1.0.0/16',
    });
  });

  it('of a datastore in AWS names the secret that AWS keeps', () => {
    const instance = at({ address: 'db.example.net', port: 5432, masterUserSecret: [{ secretArn: 'arn:secret' }] });
    expect(
      statusOf(
        cases.find(({ name }) => name === 'datastore-aws')!,
        { instance },
      ),
    ).toEqual({
      address: 'db.example.net',
      port: 5432,
      database: 'spire',
      user: 'spire',
      passwordSecret: 'arn:secret',
    });
  });
});

describe('a datastore in Google Cloud', () => {
  const link = 'projects/p/regions/r/serviceAttachments/a';

  it('waits for what it is to be connected to, and is not ready before', () => {
    const { desired, results } = runFunction(requestFor(datastore, 'namespaced'));
    expect(Object.keys(desired!.resources)).toEqual(['instance', 'database', 'user', 'address']);
    expect(desired!.composite!.ready).toBe(Ready.READY_FALSE);
    expect(results).toMatchObject([
      { severity: Severity.SEVERITY_NORMAL, message: 'waiting for what instance is to be connected to' },
    ]);
  });

  it.for([
    ['once the instance says it', { instance: observed({ atProvider: { pscServiceAttachmentLink: link } }) }],
    [
      'while the instance says nothing and the connection stands',
      { connection: observed({ atProvider: { target: link } }) },
    ],
  ] as const)('is connected %s', ([, parts]) => {
    const { desired, results } = runFunction(requestFor(datastore, 'namespaced', parts));
    expect(desired!.resources['connection']!.resource).toMatchObject({
      kind: 'ForwardingRule',
      spec: { forProvider: { target: link } },
    });
    expect(desired!.composite!.ready).toBe(Ready.READY_UNSPECIFIED);
    expect(results).toEqual([]);
  });
});

describe('a cluster in AWS', () => {
  const partsOf = (parts: Record<string, Json>) => runFunction(requestFor(cluster, 'namespaced', parts)).desired!;

  it('does not begin before its key is there', () => {
    const { composite, resources } = partsOf({});
    expect(Object.keys(resources)).not.toContain('cluster');
    expect(composite!.ready).toBe(Ready.READY_FALSE);
  });

  it('that stands is not given up when its key is not reported', () => {
    expect(partsOf({ cluster: observed() }).resources).toMatchObject({ cluster: {}, 'node-group': {} });
  });
});

describe('servers', () => {
  it.for([
    [
      'server-pool-aws',
      'instance-group',
      'trafficSource',
      { 'instance-group': { trafficSource: [{ identifier: 'a' }, { identifier: 'b' }] } },
    ],
    ['server-pool-gcp', 'backend', 'backend', { backend: { backend: [{ group: 'a' }] } }],
  ] as const)(
    'of %s are behind the load balancer once it is there, and stay when nothing is reported',
    ([name, part, field, standing]) => {
      const pool = cases.find((each) => each.name === name)!;
      const fieldOf = (parts: Record<string, Json>): unknown =>
        (
          runFunction(requestFor(pool, 'namespaced', parts)).desired!.resources[part]!.resource as {
            spec: { forProvider: Json };
          }
        ).spec.forProvider[field];
      expect(fieldOf({})).toBeUndefined();
      const reported = Object.fromEntries(
        Object.entries(standing).map(([key, atProvider]) => [key, observed({ atProvider })]),
      );
      expect(fieldOf(reported)).toMatchObject(
        name === 'server-pool-aws' ? [{ identifier: 'a' }, { identifier: 'b' }] : [{ group: 'a' }],
      );
    },
  );
});

describe('a trust domain', () => {
  const answer = (parts: Record<string, Json> = {}) => runFunction(requestFor(whole, 'namespaced', parts)).desired!;
  const usages = Object.keys(answer().resources).filter((name) => name.startsWith('usage-'));

  it.for([
    ['network-upstream', 'datastore-upstream'],
    ['network-aws', 'nodes-aws'],
    ['datastore-gcp', 'servers-gcp'],
    ['servers-upstream', 'servers-aws'],
    ['servers-gcp', 'nodes-gcp'],
  ] as const)('keeps %s until %s is gone', ([used, user]) => {
    expect(usages).toContain(`usage-${used}-by-${user}`);
  });

  it('keeps nothing for another pool, and nothing for itself', () => {
    expect(usages).not.toContain('usage-network-aws-by-datastore-gcp');
    expect(usages.filter((name) => /^usage-(.*)-by-\1$/.test(name))).toEqual([]);
  });

  it('is protected from deletion unless it says otherwise', () => {
    expect(answer().resources['deletion-protection']!.resource).toMatchObject({
      kind: 'Usage',
      spec: { of: { kind: 'SpireTrustDomain', resourceRef: { name: 'network' } } },
    });
    const open = runFunction(
      requestFor({ ...whole, spec: { ...whole.spec, deletionProtection: false } }, 'namespaced'),
    );
    expect(Object.keys(open.desired!.resources)).not.toContain('deletion-protection');
  });

  it.for(['cloud', 'crossplane'])('in %s is built with its clusters as it is without them', (infrastructure) => {
    const spec = { ...clustered.spec, infrastructure };
    const without = { ...spec, clusters: undefined, workloads: [] };
    for (const flavour of ['namespaced', 'legacy'] as const) {
      const built = runFunction(requestFor({ ...clustered, spec }, flavour));
      expect(Object.keys(built.desired!.resources)).toContain('datastore-upstream');
      expect(built).toEqual(runFunction(requestFor({ ...clustered, spec: without }, flavour)));
    }
  });

  it('names the secrets of its databases as the workflows do', () => {
    expect(answer().resources['servers-aws']!.resource).toMatchObject({
      spec: { secrets: [databaseSecretName('example.org', 'aws')] },
    });
  });

  it('waits for the addresses of its servers, and tells them', () => {
    const servers = observed({ address: '10.1.0.9', instanceGroup: 'group' });
    const parts = { 'servers-upstream': servers, 'servers-gcp': servers, 'servers-aws': servers };
    expect(answer().composite!.ready).toBe(Ready.READY_FALSE);
    expect(answer(parts).composite!.ready).toBe(Ready.READY_UNSPECIFIED);
    const status = answer(parts).composite!.resource!['status'] as { pools: Json[] };
    expect(status.pools).toMatchObject([
      { name: 'upstream', address: '10.1.0.9', serverGroup: 'group' },
      { name: 'gcp', address: '10.1.0.9' },
      { name: 'aws', address: '10.1.0.9' },
    ]);
  });
});

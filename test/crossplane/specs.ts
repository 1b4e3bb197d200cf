// Specifications of every kind in every cloud, small and full: what the goldens, the schemas and the API server are asked about.
import { azureCases } from './azure-specs.ts';
import { bootScript, everybody, networkRef, passwordSecretRef, reports, secrets } from './spec-parts.ts';
import type { Case } from './spec-parts.ts';

export type { Case };

const gcp = { trustDomain: 'example.org', cloud: 'gcp', region: 'us-central1', project: 'demo-project' };
const aws = { trustDomain: 'example.org', cloud: 'aws', region: 'us-east-1' };
/** Identities are of no region. */
const unplaced = (fields: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => name !== 'region'));
const image = 'projects/demo-project/global/images/espalier';
const account = '123456789012';
const records = [
  { name: 'spire-upstream', at: 'virtualIp', values: ['10.10.1.10', '10.10.1.11'] },
  { name: 'spire-downstream-aws', type: 'CNAME', values: ['balancer.example.net'] },
];

const segments = [
  { name: 'gcp', cloud: 'gcp', region: 'us-central1', attestor: 'gcp_iit' },
  { name: 'aws', cloud: 'aws', region: 'us-east-1', servers: 2, nodes: 50, attestor: 'aws_iid' },
];
const inGcp = { project: 'demo-project', image, passwordSecretRef };
const clusterImage = 'registry.example.org/espalier-runtime:0.1.0';
const inAws = { account, image: 'ami-1' };

export const cases: readonly Case[] = [
  { name: 'network-gcp', kind: 'SpireNetwork', spec: gcp },
  { name: 'network-aws', kind: 'SpireNetwork', spec: aws },
  { name: 'network-gcp-full', kind: 'SpireNetwork', spec: { ...gcp, ...everybody, providerConfig: 'other' } },
  { name: 'network-aws-full', kind: 'SpireNetwork', spec: { ...aws, ...everybody, zones: ['a', 'c', 'd'] } },
  {
    name: 'datastore-gcp',
    kind: 'SpireDatastore',
    spec: { ...gcp, networkRef, passwordSecretRef },
    observed: { instance: reports({ pscServiceAttachmentLink: 'attachments/one' }) },
  },
  { name: 'datastore-aws', kind: 'SpireDatastore', spec: { ...aws, networkRef } },
  {
    name: 'datastore-aws-fleeting',
    kind: 'SpireDatastore',
    spec: {
      ...aws,
      networkRef,
      deletionProtection: false,
      multiZone: false,
      version: '17',
      machineType: 'db.t4g.micro',
    },
  },
  { name: 'dns-zone-gcp', kind: 'SpireDnsZone', spec: { ...gcp, networkRef, domain: 'example.internal', records } },
  { name: 'dns-zone-aws', kind: 'SpireDnsZone', spec: { ...aws, networkRef, domain: 'example.internal', records } },
  { name: 'server-pool-gcp', kind: 'SpireServerPool', spec: { ...gcp, networkRef, image } },
  { name: 'server-pool-aws', kind: 'SpireServerPool', spec: { ...aws, networkRef, image: 'ami-1', account } },
  {
    name: 'server-pool-gcp-full',
    kind: 'SpireServerPool',
    spec: { ...gcp, networkRef, image, servers: 3, machineType: 'e2-medium', bootScript, secrets, attestsNodes: false },
    observed: {
      'instance-group': reports({ instanceGroup: 'groups/one' }),
      balancer: reports({ ipAddress: '10.1.0.9' }),
      identity: reports({ email: 'servers@example.net' }),
    },
  },
  {
    name: 'server-pool-aws-full',
    kind: 'SpireServerPool',
    spec: { ...aws, networkRef, image: 'ami-1', account, servers: 3, bootScript, secrets, rootDevice: '/dev/sda1' },
    observed: {
      'targets-8081': reports({ arn: 'arn:targets/8081' }),
      'targets-8443': reports({ arn: 'arn:targets/8443' }),
      balancer: reports({ dnsName: 'servers.example.net' }),
      servers: reports({ arn: 'arn:role' }),
    },
  },
  { name: 'node-pool-gcp', kind: 'SpireNodePool', spec: { ...gcp, networkRef, image, bootScript } },
  { name: 'node-pool-aws', kind: 'SpireNodePool', spec: { ...aws, networkRef, image: 'ami-1', nodes: 50, bootScript } },
  { name: 'node-pool-gke', kind: 'SpireNodePool', spec: { ...gcp, networkRef, platform: 'kubernetes', nodes: 4 } },
  {
    name: 'node-pool-eks',
    kind: 'SpireNodePool',
    spec: { ...aws, networkRef, platform: 'kubernetes', kubernetesVersion: '1.36', apiCidrs: ['10.10.0.0/24'] },
    observed: { key: reports({ arn: 'arn:key' }), machine: reports({ latestVersion: 3 }) },
  },
  { name: 'identity-gcp', kind: 'SpireIdentity', spec: { ...unplaced(gcp), role: 'node-gcp' } },
  {
    name: 'identity-aws',
    kind: 'SpireIdentity',
    spec: { ...unplaced(aws), account, role: 'node-aws', takesCommands: true },
  },
  {
    name: 'identity-gcp-full',
    kind: 'SpireIdentity',
    spec: { ...unplaced(gcp), role: 'upstream', secrets },
    observed: { identity: reports({ uniqueId: '1234' }) },
  },
  {
    name: 'identity-aws-full',
    kind: 'SpireIdentity',
    spec: { ...unplaced(aws), account, role: 'server-aws', secrets, describesInstances: true },
    observed: { role: reports({ arn: 'arn:aws:iam::123456789012:role/one' }) },
  },
  {
    name: 'identity-aws-web',
    kind: 'SpireIdentity',
    spec: {
      ...unplaced(aws),
      account,
      role: 'attestor',
      describesInstances: true,
      webIdentity: { subject: '1234', audience: 'espalier' },
    },
  },
  {
    name: 'machine-gcp',
    kind: 'SpireMachine',
    spec: {
      ...gcp,
      networkRef,
      name: 'gcp-node-0',
      role: 'node-gcp',
      owner: 'run-1',
      image,
      bootScript,
      release: 'ab12',
    },
  },
  {
    name: 'machine-aws',
    kind: 'SpireMachine',
    spec: { ...aws, networkRef, name: 'aws-node-0', role: 'node-aws', owner: 'run-1', image: 'ami-1', bootScript },
  },
  {
    name: 'machine-gcp-isolated',
    kind: 'SpireMachine',
    spec: {
      ...gcp,
      networkRef,
      name: 'upstream-0',
      role: 'upstream',
      owner: 'run-1',
      settings: 'ab12-gcp',
      image,
      machineType: 'e2-medium',
      bootScript,
      isolated: true,
    },
    observed: {
      machine: reports({ instanceId: '77', currentStatus: 'RUNNING', networkInterface: [{ networkIp: '10.1.0.7' }] }),
    },
  },
  {
    name: 'machine-aws-isolated',
    kind: 'SpireMachine',
    spec: {
      ...aws,
      networkRef,
      name: 'aws-server-0',
      role: 'server-aws',
      owner: 'run-1',
      settings: 'ab12-aws',
      zone: 'b',
      image: 'ami-1',
      bootScript,
      isolated: true,
    },
    observed: { machine: reports({ id: 'i-1', privateIp: '10.2.0.7', instanceState: 'running' }) },
  },
  {
    name: 'trust-domain',
    kind: 'SpireTrustDomain',
    spec: { trustDomain: 'example.org', infrastructure: 'cloud', segments, gcp: inGcp, aws: inAws },
  },
  {
    name: 'trust-domain-clustered',
    kind: 'SpireTrustDomain',
    spec: {
      trustDomain: 'example.org',
      infrastructure: 'crossplane',
      segments,
      clusters: [
        { name: 'shop', platform: 'onprem', context: 'shop', servers: 2, image: clusterImage, expose: 'NodePort' },
        { name: 'bank', platform: 'azure', intermediateTtl: '12.5h', storageClass: 'fast', image: clusterImage },
      ],
      workloads: [
        {
          segment: 'shop',
          environment: 'prod',
          team: 'demo',
          name: 'till',
          selectors: ['k8s:ns:production', 'k8s:sa:till'],
        },
      ],
      gcp: inGcp,
      aws: inAws,
    },
  },
  {
    name: 'trust-domain-grown',
    kind: 'SpireTrustDomain',
    spec: {
      trustDomain: 'example.org',
      infrastructure: 'crossplane',
      segments: [...segments, { name: 'east', cloud: 'aws', region: 'us-east-1', attestor: 'aws_iid' }],
      gcp: inGcp,
      aws: inAws,
    },
    observed: {
      'network-gcp-us-central1': { status: { networkId: 'network-1' } },
      'datastore-upstream': { status: { address: '10.1.0.5', passwordSecret: 'datastore-password' } },
    },
  },
  {
    name: 'trust-domain-named',
    kind: 'SpireTrustDomain',
    spec: {
      trustDomain: 'example.org',
      infrastructure: 'cloud',
      upstream: { cloud: 'aws', region: 'us-east-1', servers: 3 },
      segments: segments.slice(1),
      aws: inAws,
      domain: 'example.internal',
      nodePlatform: 'kubernetes',
      deletionProtection: false,
    },
    observed: { 'servers-upstream': { status: { address: 'servers.example.net' } } },
  },
  ...azureCases,
];

// The boots of the repository's own trust domain, as the activities make them: what tests of boot scripts start from.
import { serverBootScript } from '../../../activities/boot/server.ts';
import type { ServerBoot } from '../../../activities/boot/server.ts';
import { nodeBootScript } from '../../../activities/boot/node.ts';
import type { NodeBoot } from '../../../activities/boot/node.ts';
import { authoritySecretPrefix } from '../../../activities/cloud.ts';
import { parseTrustDomainSpec } from '../../../activities/spec/check-spec.ts';
import { spec } from '../../support/specs.ts';

export const artifact = { url: 'http://127.0.0.1:1/espalier.tar.gz', sha256: 'ab'.repeat(32) };
const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;
const domain = 'spiffe://example.org';

export const upstream: ServerBoot = {
  kind: 'upstream',
  name: 'upstream-0',
  cloud: 'gcp',
  region: 'us-central1',
  spec: parseTrustDomainSpec(spec),
  artifact,
  substrate: {
    image: '/image',
    awsAccount: '000000000077',
    gcpProject: 'espalier-lab',
    awsRegionCertificates: { 'us-east-1': pem('regionofaws') },
    gcpCertificatesUrl: 'http://127.77.0.1:1/certificates',
  },
  databaseSecret: 'espalier-bfabc374-upstream-database',
  authoritySecrets: undefined,
  caTtl: '8760h',
  adminId: `${domain}/prod/onprem/platform/temporal-worker`,
  attestors: ['aws_iid', 'gcp_iit'],
  awsRoleArn: 'arn:aws:iam::000000000077:role/espalier-bfabc374-attestor',
  worker: {
    certificatePem: pem('nodesofthecontrolplane'),
    agentId: `${domain}/spire/agent/x509pop/0a`,
    spiffeId: `${domain}/prod/onprem/platform/temporal-worker`,
    selectors: ['unix:uid:0', 'unix:path:/opt/espalier/worker'],
  },
  upstream: undefined,
};

/** Below a root that is not ours. */
export const upstreamOnDisk: ServerBoot = { ...upstream, authoritySecrets: authoritySecretPrefix('example.org') };

export const downstream: ServerBoot = {
  ...upstream,
  kind: 'downstream',
  name: 'aws-server-0',
  cloud: 'aws',
  region: 'us-east-1',
  databaseSecret: 'espalier-bfabc374-aws-database',
  caTtl: '12h',
  attestors: ['aws_iid'],
  awsRoleArn: undefined,
  worker: undefined,
  upstream: { address: '127.77.2.1', bundlePem: pem('rootofexampleorg') },
};

/** On the real cloud nothing of the lab is named. */
export const realDownstream: ServerBoot = {
  ...downstream,
  name: 'gcp-server-0',
  cloud: 'gcp',
  region: 'us-central1',
  databaseSecret: 'espalier-bfabc374-gcp-database',
  attestors: ['gcp_iit'],
  substrate: { image: '', awsAccount: '123456789012', gcpProject: 'prod-1', awsRegionCertificates: {} },
};

export const node: NodeBoot = {
  name: 'gcp-node-0',
  cloud: 'gcp',
  trustDomain: 'example.org',
  artifact,
  serverAddress: '127.77.2.2',
  bundlePem: pem('rootofexampleorg'),
  workloads: [
    {
      name: 'workload-a',
      port: 9443,
      peers: [`${domain}/prod/aws/demo/workload-b`, `${domain}/prod/aws/demo/workload-c`],
      operators: [`${domain}/prod/onprem/platform/temporal-worker`],
    },
  ],
};

export const scripts: Readonly<Record<string, () => string>> = {
  'upstream-gcp': () => serverBootScript(upstream),
  'upstream-disk-gcp': () => serverBootScript(upstreamOnDisk),
  'downstream-aws': () => serverBootScript(downstream),
  'downstream-real-gcp': () => serverBootScript(realDownstream),
  'node-gcp': () => nodeBootScript(node),
  'node-aws-idle': () => nodeBootScript({ ...node, name: 'aws-node-1', cloud: 'aws', workloads: [] }),
};

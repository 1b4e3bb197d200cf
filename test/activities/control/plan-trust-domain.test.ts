// The whole plan of the repository's own trust domain, compared with a file that people can read; then what changes it.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { planTrustDomain } from '../../../activities/control/plan-trust-domain.ts';
import type { Substrate } from '../../../activities/plan.ts';
import { parseTrustDomainSpec } from '../../../activities/spec/check-spec.ts';
import { spec } from '../../support/specs.ts';

const artifact = { url: 'http://127.0.0.1:1/espalier.tar.gz', sha256: 'ab'.repeat(32) };
const lab: Substrate = {
  image: '/image',
  awsAccount: '000000000077',
  gcpProject: 'espalier-lab',
  awsRegionCertificates: { 'us-east-1': '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n' },
  gcpCertificatesUrl: 'http://127.77.0.1:1/certificates',
};
const real: Substrate = { image: '', awsAccount: '123456789012', gcpProject: 'prod-1', awsRegionCertificates: {} };
const golden: unknown = JSON.parse(readFileSync(new URL('./plan.golden.json', import.meta.url), 'utf8'));

const plan = (change: object = {}, substrate = lab) =>
  planTrustDomain(parseTrustDomainSpec({ ...spec, ...change }), artifact, substrate);
const [gcp, aws] = spec.segments;
const [a, b] = spec.workloads;

describe('planTrustDomain', () => {
  it('plans every server, node, identity and entry by name', () => {
    expect(plan()).toEqual(golden);
  });

  it('notes an authority above the root, and nothing where the root is the servers’ own', () => {
    expect(plan({ upstream: { authority: 'disk' } }).upstream).toEqual({ ...plan().upstream, authority: 'disk' });
    expect(plan({ upstream: { authority: 'self-signed' } }).upstream).toEqual(plan().upstream);
  });

  it('plans a cluster: its servers, their identity, the alias of its nodes and its workloads, whom the others admit', () => {
    const cluster = { name: 'shop', platform: 'onprem', context: 'k', servers: 2, image: 'r:1' };
    const till = { ...a, segment: 'shop', name: 'till', selectors: ['k8s:ns:production', 'k8s:sa:till'] };
    const { clusters, segments } = plan({ clusters: [cluster], workloads: [a, b, till] });
    const spiffeId = 'spiffe://example.org/prod/onprem/demo/till';
    expect(clusters).toEqual([
      {
        ...{ name: 'shop', platform: 'onprem', context: 'k', image: 'r:1', expose: 'ClusterIP', caTtl: '12h' },
        servers: ['spire-server-0', 'spire-server-1'],
        downstreamId: 'spiffe://example.org/prod/onprem/platform/spire-server-shop',
        downstreamSelectors: ['unix:uid:65532'],
        aliasId: 'spiffe://example.org/prod/onprem/platform/spire-nodes-shop',
        aliasSelectors: ['k8s_psat:cluster:shop', 'k8s_psat:agent_ns:spire-system', 'k8s_psat:agent_sa:spire-agent'],
        workloads: [{ name: 'till', spiffeId, selectors: till.selectors }],
      },
    ]);
    expect(segments.map(({ workloads }) => workloads[0]?.peers.includes(spiffeId))).toEqual([true, true]);
    expect(plan()).not.toHaveProperty('clusters');
  });

  it('plans the same thing twice', () => {
    expect(plan()).toEqual(plan());
  });

  it('survives the way through a history', () => {
    expect(JSON.parse(JSON.stringify(plan()))).toEqual(golden);
  });

  it('names real accounts, and no image, on real clouds', () => {
    const { segments } = plan({}, real);
    expect(segments.map(({ downstreamSelectors }) => downstreamSelectors)).toEqual([
      ['unix:path:/opt/espalier/bin/spire-server'],
      ['unix:path:/opt/espalier/bin/spire-server'],
    ]);
    expect(segments[0]?.aliasSelectors[0]).toBe('gcp_iit:project-id:prod-1');
    expect(segments[1]?.aliasSelectors[0]).toBe('aws_iid:account_id:123456789012');
    expect(segments[0]?.workloads[0]?.selectors).toEqual(['unix:path:/opt/demo/workload-a']);
  });

  it('gives two trust domains of one account different roles and accounts', () => {
    const selectorsOf = (trustDomain: string) => plan({ trustDomain }).segments.map((s) => s.aliasSelectors[1]);
    const [first, second] = [selectorsOf('a.example.org'), selectorsOf('b.example.org')];
    expect(first[0]).not.toBe(second[0]);
    expect(first[1]).not.toBe(second[1]);
  });

  it('names each place once, whatever stands there', () => {
    expect(plan({ segments: [gcp, { ...aws, region: 'eu-west-1' }, { ...aws, name: 'aws-2' }] }).places).toEqual([
      { cloud: 'gcp', region: 'us-central1' },
      { cloud: 'aws', region: 'eu-west-1' },
      { cloud: 'aws', region: 'us-east-1' },
    ]);
  });

  it('lets an upstream on AWS read instances by its own identity', () => {
    const upstream = { cloud: 'aws', region: 'us-east-1', servers: 2 };
    expect(plan({ upstream }).upstream).toMatchObject({
      cloud: 'aws',
      servers: ['upstream-0', 'upstream-1'],
      assumesAwsRole: false,
    });
  });

  it('asks for no role of AWS where nothing is on AWS', () => {
    const { upstream } = plan({ segments: [gcp], workloads: [a] });
    expect(upstream).toMatchObject({ attestors: ['gcp_iit'], assumesAwsRole: false });
  });

  it('spreads workloads over nodes, each on ports of its own', () => {
    const workloads = ['one', 'two', 'three'].map((name) => ({ ...a, name }));
    const { segments } = plan({ workloads });
    expect(
      segments[0]?.workloads.map(({ node, servicePort, controlPort }) => [node, servicePort, controlPort]),
    ).toEqual([
      ['gcp-node-0', 9443, 9444],
      ['gcp-node-1', 9445, 9446],
      ['gcp-node-0', 9447, 9448],
    ]);
  });

  it('makes every workload the peer of every other, and never of itself', () => {
    const { segments } = plan({ workloads: [a, { ...a, name: 'other' }, b] });
    const [first] = segments[0]?.workloads ?? [];
    expect(first?.peers).toEqual([
      'spiffe://example.org/prod/gcp/demo/other',
      'spiffe://example.org/prod/aws/demo/workload-b',
    ]);
  });
});

// Clusters in a trust domain's specification: what they mean when little is said, and every fault with its place and value.
import { describe, expect, it } from 'vitest';
import { parseTrustDomainSpec, specDigest } from '../../../activities/spec/check-spec.ts';
import { faultsOf } from '../../support/spec-faults.ts';
import { spec } from '../../support/specs.ts';

const cluster = { name: 'shop', platform: 'onprem', context: 'shop', image: 'registry.example.org/runtime:0.1.0' };
const { name, platform, image } = cluster;
/** The cluster that the worker runs in. */
const inside = { name, platform, image };
const workload = {
  ...{ segment: 'shop', environment: 'prod', team: 'demo', name: 'till' },
  selectors: ['k8s:ns:production', 'k8s:sa:till'],
};

const faultsWith = (...clusters: object[]): readonly string[] => faultsOf({ ...spec, clusters });

describe('clusters', () => {
  it('are not filled in where nothing is said: what stands is known by the digest of its specification', () => {
    const parsed = parseTrustDomainSpec(spec);
    expect(parsed).not.toHaveProperty('clusters');
    expect(specDigest(parsed)).toBe('4cbe3d2c0ea3bc38a9eaee0bde02eff3f55ff297327882d540679d26ab08b5a5');
  });

  it('have one server, an intermediate of 12 hours and a ClusterIP where nothing else is said', () => {
    expect(parseTrustDomainSpec({ ...spec, clusters: [cluster] }).clusters).toEqual([
      { ...cluster, servers: 1, intermediateTtl: '12h', expose: 'ClusterIP' },
    ]);
  });

  it('may be the one that the worker runs in, and have a storage class', () => {
    const wanted = { ...inside, servers: 3, intermediateTtl: '24h', expose: 'NodePort', storageClass: 'fast.ssd' };
    expect(parseTrustDomainSpec({ ...spec, clusters: [wanted] }).clusters).toEqual([wanted]);
  });

  it('carry workloads by their name, as segments do', () => {
    expect(faultsOf({ ...spec, clusters: [cluster], workloads: [...spec.workloads, workload] })).toEqual([]);
  });

  it.each(['a:1', 'localhost:5000/a:1', `a/b@sha256:${'0a'.repeat(32)}`, 'r.example.org/A_b/c:v1.2-3'])(
    'take the image %s',
    (reference) => {
      expect(faultsWith({ ...cluster, image: reference })).toEqual([]);
    },
  );

  const platforms = '"gcp"|"aws"|"azure"|"onprem"';
  it.each<[string, object, string]>([
    ['platform', { platform: 'kubernetes' }, `Invalid option: expected one of ${platforms}: "kubernetes"`],
    ['name', { name: 'Shop' }, 'must be 1 to 32 lower-case letters, digits and dashes, starting with a letter: "Shop"'],
    ['name', { name: 'gcp' }, 'a segment has the name "gcp" already'],
    ['name', { name: 'upstream' }, 'upstream is the name of the tier above'],
    ['context', { context: '' }, 'must be the name of a context: 1 to 253 characters without white space: ""'],
    ['context', { context: 'a b' }, 'must be the name of a context: 1 to 253 characters without white space: "a b"'],
    ['servers', { servers: 0 }, 'Too small: expected number to be >=1: 0'],
    ['servers', { servers: 10 }, 'Too big: expected number to be <=9: 10'],
    ['intermediateTtl', { intermediateTtl: '12' }, 'must be a duration with units, such as 12h or 1h30m: "12"'],
    [
      'intermediateTtl',
      { intermediateTtl: '3h' },
      'TTL lattice broken: intermediate TTL 3h0m0s is shorter than 6 × X.509-SVID TTL 1h0m0s',
    ],
    ['image', { image: undefined }, 'Invalid input: expected string, received undefined'],
    ...['', 'a', 'localhost:5000/a', 'a b:1', 'a@sha256:00', 'https://a:1/b'].map((image): [string, object, string] => [
      'image',
      { image },
      `must be an image with a tag or a digest, such as registry.example.org/espalier-runtime:0.1.0: ${JSON.stringify(image)}`,
    ]),
    ['image', { image: 'a:latest' }, 'must have a tag that stays what it is: "a:latest"'],
    ['storageClass', { storageClass: 'Fast' }, 'must be the name of a storage class: "Fast"'],
    [
      'expose',
      { expose: 'Ingress' },
      'Invalid option: expected one of "ClusterIP"|"NodePort"|"LoadBalancer": "Ingress"',
    ],
  ])('refuses a wrong %s: %o', (field, change, message) => {
    expect(faultsWith({ ...cluster, ...change })).toEqual([`clusters[0].${field}: ${message}`]);
  });

  it('refuses an unknown key, which credentials would be', () => {
    expect(faultsWith({ ...cluster, token: 'a' })).toEqual(['clusters[0]: Unrecognized key: "token"']);
  });

  it('refuses an empty list', () => {
    expect(faultsWith()).toEqual(['clusters: must name at least one cluster where it is there']);
  });

  it('refuses two of one name, of one context, and two in the cluster that the worker runs in', () => {
    expect(faultsWith(cluster, { ...cluster, context: 'other' })).toEqual(['clusters[1]: duplicate name: "shop"']);
    expect(faultsWith(cluster, { ...cluster, name: 'b' })).toEqual([
      'clusters[1].context: clusters[0] has this context too: "shop"',
    ]);
    expect(faultsWith(inside, { ...inside, name: 'b' })).toEqual([
      'clusters[1].context: clusters[0] has no context either',
    ]);
  });

  it('refuses a workload of theirs that no agent of theirs could attest', () => {
    const workloads = [{ ...workload, selectors: ['k8s:ns:a', 'unix:uid:0'] }];
    expect(faultsOf({ ...spec, clusters: [cluster], workloads })).toEqual([
      'workloads[0].selectors[1]: agents of a cluster attest workloads by k8s alone: "unix:uid:0"',
    ]);
  });

  it('refuses a workload in a cluster that is not there', () => {
    expect(faultsOf({ ...spec, clusters: [{ ...cluster, name: 'b' }], workloads: [workload] })).toEqual([
      'workloads[0].segment: no segment has the name "shop"',
    ]);
  });
});

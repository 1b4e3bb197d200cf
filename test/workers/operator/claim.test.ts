// How the operator reads a claim: the fields of the specification, all of them, and none of Crossplane's.
import { expect, it } from 'vitest';
import { readClaim } from '../../../workers/operator/claim.ts';
import { clusteredSpec, spec } from '../../support/specs.ts';

const claimOf = (fields: object) =>
  readClaim({
    apiVersion: 'espalier.io/v1alpha1',
    kind: 'SpireTrustDomain',
    metadata: { name: 'example', namespace: 'trust' },
    spec: { ...spec, aws: { account: '123456789012' }, crossplane: { compositionRef: { name: 'x' } }, ...fields },
  });

it('has the clusters that the claim names, and nothing of clusters where it names none', () => {
  const { clusters } = clusteredSpec();
  const defaults = { intermediateTtl: '12h', expose: 'ClusterIP' };
  expect(claimOf(clusteredSpec()).spec).toMatchObject({ clusters: clusters.map((each) => ({ ...each, ...defaults })) });
  expect(Object.keys(claimOf({}).spec)).not.toContain('clusters');
});

it('says what is wrong with a cluster, by the field', () => {
  const [cluster] = clusteredSpec().clusters;
  const { spec: faults } = claimOf({ clusters: [{ ...cluster, name: 'gcp', servers: 10 }] });
  expect(faults).toContain('clusters[0].servers: Too big');
  expect(faults).toContain('clusters[0].name: a segment has the name "gcp" already');
});

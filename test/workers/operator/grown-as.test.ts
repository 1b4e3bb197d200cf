// What a tear-down is given: all that a trust domain may have been grown into.
import { describe, expect, it } from 'vitest';
import { parseTrustDomainSpec } from '../../../activities/spec/check-spec.ts';
import type { TrustDomainSpec } from '../../../activities/spec/trust-domain-spec.ts';
import { unionOf } from '../../../workers/operator/grown-as.ts';
import { clusteredSpec, spec } from '../../support/specs.ts';

const [gcp, aws] = spec.segments;
const specOf = (fields: object): TrustDomainSpec => parseTrustDomainSpec({ ...spec, workloads: [], ...fields });

describe('the union of specifications', () => {
  it('has a segment that the claim names no more', () => {
    const union = unionOf(specOf({ segments: [gcp] }), [specOf({})]);
    expect(union.segments.map(({ name, region }) => `${name} ${region}`)).toEqual(['gcp us-central1', 'aws us-east-1']);
    expect(parseTrustDomainSpec(union)).toEqual(union);
  });

  it('has as many servers and nodes as there ever were', () => {
    const before = specOf({ segments: [{ ...gcp, nodes: 5 }, aws], upstream: { servers: 3 } });
    const now = specOf({ segments: [{ ...gcp, servers: 2, nodes: 1 }, aws] });
    const { upstream, segments } = unionOf(now, [before]);
    expect(upstream.servers).toBe(3);
    expect(segments[0]).toMatchObject({ servers: 2, nodes: 5 });
  });

  it('has a cluster that the claim names no more, and one that another update wanted', () => {
    const [shop] = clusteredSpec().clusters;
    const bank = { ...shop!, name: 'bank', context: 'bank' };
    const wanted = [specOf({ clusters: [{ ...shop, servers: 3 }] }), specOf({ clusters: [bank] })];
    const { clusters = [] } = unionOf(specOf({}), wanted);
    expect(clusters.map(({ name, servers }) => [name, servers])).toEqual([
      ['shop', 3],
      ['bank', 2],
    ]);
    const union = unionOf(specOf({ clusters: [shop] }), wanted);
    expect(union.clusters).toEqual(clusters);
    expect(parseTrustDomainSpec(union)).toEqual(union);
    // Under another name it is the same cluster.
    const renamed = unionOf(specOf({ clusters: [{ ...shop, name: 'store' }] }), wanted);
    expect(renamed.clusters?.map(({ name }) => name)).toEqual(['store', 'bank']);
    expect(parseTrustDomainSpec(renamed)).toEqual(renamed);
  });

  it('is the specification where nothing else ever was', () => {
    expect(unionOf(specOf({}), [])).toEqual(specOf({}));
    expect(unionOf(specOf({}), [specOf({})])).toEqual(specOf({}));
  });
});

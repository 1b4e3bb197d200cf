// A plan with a cluster, as the activities get it: what tests of clusters start from.
import { planTrustDomain } from '../../../activities/control/plan-trust-domain.ts';
import { parseTrustDomainSpec } from '../../../activities/spec/check-spec.ts';
import type { ClusterPlan, TrustDomainPlan } from '../../../activities/plan.ts';
import { spec } from '../../support/specs.ts';

export const cluster = { name: 'shop', platform: 'onprem', context: 'test', image: 'espalier-runtime:0.1.0' };

const artifact = { url: 'http://127.0.0.1:1/espalier.tar.gz', sha256: 'ab'.repeat(32) };
const substrate = { image: '', awsAccount: '000000000077', gcpProject: 'lab', awsRegionCertificates: {} };

export function planned(
  change: object = {},
  trustDomain = 'example.org',
): { plan: TrustDomainPlan; cluster: ClusterPlan } {
  const input = { ...spec, trustDomain, clusters: [{ ...cluster, ...change }] };
  const plan = planTrustDomain(parseTrustDomainSpec(input), artifact, substrate);
  const [one] = plan.clusters ?? [];
  if (one === undefined) throw new Error('the plan has no cluster');
  return { plan, cluster: one };
}

export const upstream = {
  address: '10.1.0.2',
  bundlePem: '-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n',
};

/** Everything that is applied for it, but Secrets, which are made where they are kept. */
export const owned = (change: object = {}) => ({
  ...planned(change),
  trustDomain: 'example.org',
  owner: 'a-run',
  upstream,
});

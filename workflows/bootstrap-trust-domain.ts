// Grows a trust domain from its specification: what an operator starts. The change itself happens under the trust domain's lock.
import { onControl } from './lib/calls.ts';
import { showProgress, showProgressBelow } from './lib/progress.ts';
import { changeTrust } from './lib/change-trust.ts';
import type { TrustDomainReport } from './verify-trust-domain.ts';

/** The input is the specification itself, as `trust-domain.yaml` has it: one plain object. */
export async function bootstrapTrustDomain(spec: unknown): Promise<TrustDomainReport> {
  const progress = showProgressBelow('plan');
  const plan = await onControl('validation').planTrustDomain({ spec });
  showProgress(progress.named(plan.spec.trustDomain));
  return changeTrust<TrustDomainReport>({ change: 'grow', plan });
}

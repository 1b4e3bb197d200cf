// Takes a trust domain away: the reverse of its bootstrap, safe to run again, under the same lock.
import { onControl } from './lib/calls.ts';
import { nameTrustDomain } from './lib/progress.ts';
import { changeTrust } from './lib/change-trust.ts';
import type { RemovalReport } from './remove-trust-domain.ts';

/** The input is the specification, as `trust-domain.yaml` has it. */
export async function tearDownTrustDomain(spec: unknown): Promise<RemovalReport> {
  const plan = await onControl('validation').planTrustDomain({ spec });
  nameTrustDomain(plan.spec.trustDomain);
  return changeTrust<RemovalReport>({ change: 'tearDown', plan });
}

// Grows a trust domain from its specification: what an operator starts. The change itself happens under the trust domain's lock.
import { setHandler } from '@temporalio/workflow';
import { onControl } from './lib/calls.ts';
import { progressQuery, reportProgressSignal, showProgress } from './lib/progress.ts';
import type { Progress } from './lib/progress.ts';
import { changeTrust } from './lib/change-trust.ts';
import type { TrustDomainReport } from './verify-trust-domain.ts';

/** The input is the specification itself, as `trust-domain.yaml` has it: one plain object. */
export async function bootstrapTrustDomain(spec: unknown): Promise<TrustDomainReport> {
  let progress: Progress = {
    trustDomain: '',
    state: 'running',
    phases: [{ name: 'plan', state: 'running', startedAt: Date.now() }],
  };
  setHandler(progressQuery, () => progress);
  setHandler(reportProgressSignal, (reported) => {
    progress = reported;
    showProgress(progress);
  });
  const plan = await onControl('validation').planTrustDomain({ spec });
  progress = { ...progress, trustDomain: plan.spec.trustDomain };
  showProgress(progress);
  return changeTrust<TrustDomainReport>({ change: 'grow', plan });
}

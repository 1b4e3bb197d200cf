// The one place where a trust domain's trust changes: its id, `trustChange/<trust domain>`, is the lock. Whatever starts a change starts this as
// a child, and is refused while another one runs.
import { setHandler, workflowInfo } from '@temporalio/workflow';
import type { TrustDomainPlan } from '../activities/plan.ts';
import type { RotationRequest } from '../activities/trust/rotation.ts';
import type { Topology } from '../activities/trust/topology.ts';
import { growTrustDomain, segmentPhases, wholePhases } from './grow-trust-domain.ts';
import { createProgress, progressQuery } from './lib/progress.ts';
import { readmitExpired } from './readmit-agents.ts';
import type { ReadmitReport } from './readmit-agents.ts';
import { removeTrustDomain } from './remove-trust-domain.ts';
import type { RemovalReport } from './remove-trust-domain.ts';
import { rotate, rotationPhases } from './rotation/rotate.ts';
import type { KeptReport } from './rotation/rotate.ts';
import type { TrustDomainReport } from './verify-trust-domain.ts';

export type TrustChangeInput =
  | { readonly change: 'grow'; readonly plan: TrustDomainPlan }
  | { readonly change: 'tearDown' | 'readmit'; readonly plan: TrustDomainPlan }
  | { readonly change: 'rotate'; readonly request: RotationRequest; readonly topology: Topology };

export async function trustChange(
  input: TrustChangeInput,
): Promise<TrustDomainReport | RemovalReport | ReadmitReport | KeptReport> {
  if (input.change === 'rotate') return rotateInTurn(input.request, input.topology);
  const { change, plan } = input;
  if (change === 'tearDown') return removeTrustDomain(plan);
  if (change === 'readmit') return readmitExpired(plan);
  const names = plan.segments.flatMap(({ name }) => segmentPhases.map((phase) => `${phase} ${name}`));
  const progress = createProgress(plan.spec.trustDomain, [...wholePhases.before, ...names, ...wholePhases.after]);
  setHandler(progressQuery, progress.current);
  const report = await growTrustDomain(plan, workflowInfo().firstExecutionRunId, progress);
  await progress.done();
  return report;
}

async function rotateInTurn(request: RotationRequest, topology: Topology): Promise<KeptReport> {
  const progress = createProgress(request.trustDomain, rotationPhases);
  setHandler(progressQuery, progress.current);
  const report = await rotate(request, topology, progress);
  await progress.done();
  return report;
}

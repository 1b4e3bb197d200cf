// The one place where a trust domain's trust changes: its id, `trustChange/<trust domain>`, is the lock. Whatever starts a change starts this as
// a child, and is refused while another one runs.
import { setHandler, workflowInfo } from '@temporalio/workflow';
import type { TrustDomainPlan } from '../activities/plan.ts';
import type { DrillRequest } from '../activities/drills/drill.ts';
import type { UpdateRequest } from '../activities/update/update.ts';
import type { RotationRequest } from '../activities/trust/rotation.ts';
import type { Topology } from '../activities/trust/topology.ts';
import { drillPhases, performDrill } from './drills/perform-drill.ts';
import type { KeptDrillReport } from './drills/report.ts';
import { clusterPhases } from './grow-cluster.ts';
import { growTrustDomain, segmentPhases, wholePhases } from './grow-trust-domain.ts';
import { createProgress, progressQuery } from './lib/progress.ts';
import { readmitExpired } from './readmit-agents.ts';
import type { ReadmitReport } from './readmit-agents.ts';
import { removeTrustDomain } from './remove-trust-domain.ts';
import type { RemovalReport } from './remove-trust-domain.ts';
import { replacePhases, replaceServer } from './replace-server.ts';
import type { ReplacedServer, ReplaceServerInput } from './replace-server.ts';
import { rotate, rotationPhases } from './rotation/rotate.ts';
import type { KeptReport } from './rotation/rotate.ts';
import { applyUpdate, updatePhases } from './update/apply-update.ts';
import type { KeptUpdateReport } from './update/report.ts';
import type { TrustDomainReport } from './verify-trust-domain.ts';

export type TrustChangeInput =
  | { readonly change: 'grow'; readonly plan: TrustDomainPlan }
  | { readonly change: 'tearDown' | 'readmit'; readonly plan: TrustDomainPlan }
  | ({ readonly change: 'replaceServer' } & ReplaceServerInput)
  | { readonly change: 'update'; readonly request: UpdateRequest; readonly startedAt: string }
  | { readonly change: 'drill'; readonly request: DrillRequest; readonly startedAt: string }
  | { readonly change: 'rotate'; readonly request: RotationRequest; readonly topology: Topology };

export async function trustChange(
  input: TrustChangeInput,
): Promise<
  TrustDomainReport | RemovalReport | ReadmitReport | KeptReport | KeptUpdateReport | KeptDrillReport | ReplacedServer
> {
  if (input.change === 'drill') return drillInTurn(input.request, input.startedAt);
  if (input.change === 'rotate') return rotateInTurn(input.request, input.topology);
  if (input.change === 'update') return updateInTurn(input.request, input.startedAt);
  if (input.change === 'replaceServer') return replaceInTurn(input);
  const { change, plan } = input;
  if (change === 'tearDown') return removeTrustDomain(plan);
  if (change === 'readmit') return readmitExpired(plan);
  const names = [
    ...plan.segments.flatMap(({ name }) => segmentPhases.map((phase) => `${phase} ${name}`)),
    ...(plan.clusters ?? []).flatMap(({ name }) => clusterPhases.map((phase) => `${phase} ${name}`)),
  ];
  const progress = createProgress(plan.spec.trustDomain, [...wholePhases.before, ...names, ...wholePhases.after]);
  setHandler(progressQuery, progress.current);
  const report = await growTrustDomain(plan, workflowInfo().firstExecutionRunId, progress);
  await progress.done();
  return report;
}

async function updateInTurn(request: UpdateRequest, startedAt: string): Promise<KeptUpdateReport> {
  const progress = createProgress(request.plan.spec.trustDomain, updatePhases);
  setHandler(progressQuery, progress.current);
  const report = await applyUpdate(request, startedAt, workflowInfo().firstExecutionRunId, progress);
  await progress.done();
  return report;
}

async function replaceInTurn(input: ReplaceServerInput): Promise<ReplacedServer> {
  const progress = createProgress(input.plan.spec.trustDomain, replacePhases);
  setHandler(progressQuery, progress.current);
  return replaceServer(input, workflowInfo().firstExecutionRunId, progress);
}

/** Nobody changes the trust of a domain while something in it is broken on purpose. */
async function drillInTurn(request: DrillRequest, startedAt: string): Promise<KeptDrillReport> {
  const progress = createProgress(request.plan.spec.trustDomain, drillPhases);
  setHandler(progressQuery, progress.current);
  const report = await performDrill(request, startedAt, progress);
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

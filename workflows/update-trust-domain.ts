// Changes a living trust domain into what a new specification says: compares it with what runs, shows the steps, and has `trustChange` take them, widening
// before it narrows. Started on an unchanged specification it does nothing and says so.
import type { UpdateReport } from '../activities/update/update.ts';
import { onUpdate } from './lib/calls.ts';
import { changeTrust } from './lib/change-trust.ts';
import { nameTrustDomain, showProgressBelow } from './lib/progress.ts';
import { lookAtDomain } from './update/look-at-domain.ts';
import { updateReport } from './update/report.ts';
import type { KeptUpdateReport } from './update/report.ts';

export async function updateTrustDomain(asked: unknown): Promise<KeptUpdateReport> {
  const startedAt = new Date().toISOString();
  const progress = showProgressBelow('check');
  const request = await onUpdate().checkUpdate({ request: asked });
  const { plan } = request;
  progress.named(plan.spec.trustDomain);
  nameTrustDomain(plan.spec.trustDomain);
  const comparison = await lookAtDomain(plan);
  const ends = (outcome: UpdateReport['outcome']) => updateReport({ request, comparison, outcome, startedAt });
  if (request.dryRun) return ends('dry run');
  if (comparison.refusals.length === 0 && comparison.steps.length === 0) return ends('nothing differs');
  return changeTrust<KeptUpdateReport>({ change: 'update', request, startedAt });
}

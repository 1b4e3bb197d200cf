// Runs a chosen failure on purpose, in the lab: breaks something, watches the alert, the runbook and what must go on working, mends it, waits until all is
// whole again, and reports the times. Under the trust domain's lock: nobody rotates or updates meanwhile, and a change that runs has the drill refused.
import { createDrillReport } from './drills/report.ts';
import type { KeptDrillReport } from './drills/report.ts';
import { rehearseDrill } from './drills/rehearse-drill.ts';
import { onDrill } from './lib/calls.ts';
import { changeTrust } from './lib/change-trust.ts';
import { nameTrustDomain, showProgressBelow } from './lib/progress.ts';

export async function drill(asked: unknown): Promise<KeptDrillReport> {
  const startedAt = new Date().toISOString();
  const progress = showProgressBelow('check');
  const request = await onDrill().checkDrill({ request: asked });
  const { trustDomain } = request.plan.spec;
  progress.named(trustDomain);
  nameTrustDomain(trustDomain);
  if (!request.dryRun) return changeTrust<KeptDrillReport>({ change: 'drill', request, startedAt });
  const { steps, blockers } = await rehearseDrill(request);
  return createDrillReport({ request, startedAt, verdict: 'dry run', reasons: blockers, steps, rounds: [], notes: [] });
}

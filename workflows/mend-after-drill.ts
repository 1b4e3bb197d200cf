// Mends what a drill broke where the drill itself cannot any more: it was terminated, timed out or deleted. Started before anything is broken, as a workflow
// of its own that its parent's end leaves alone; a drill that came to an end by itself has mended, or said what it could not.
import { CancellationScope } from '@temporalio/workflow';
import type { Execution, Mending } from '../activities/drills/drill.ts';
import type { TrustDomainPlan } from '../activities/plan.ts';
import { mend } from './drills/mend.ts';
import { onDrillEnd } from './lib/calls.ts';
import { changeTrust } from './lib/change-trust.ts';
import { removeInTurn, rollbackIncomplete } from './lib/saga.ts';

export interface MendAfterDrillInput {
  readonly drill: Execution;
  readonly mendings: readonly Mending[];
  /** Where the failure locks agents out, which are let in again. */
  readonly lockedOut?: TrustDomainPlan | undefined;
}

export interface MendAfterDrillReport {
  /** How the drill ended. */
  readonly drill: string;
  readonly mended: readonly string[];
}

const endsOfItsOwn: readonly string[] = ['COMPLETED', 'FAILED', 'CANCELLED'];

/** Not to be found by its trust domain, and not to be cancelled: whoever ends everything of a trust domain by a query means the drill, not its mending. */
export function mendAfterDrill(input: MendAfterDrillInput): Promise<MendAfterDrillReport> {
  return CancellationScope.nonCancellable(() => mendOnce(input));
}

async function mendOnce({ drill, mendings, lockedOut }: MendAfterDrillInput): Promise<MendAfterDrillReport> {
  const end = await onDrillEnd().awaitEnd(drill);
  if (endsOfItsOwn.includes(end)) return { drill: end, mended: [] };
  const stuck = await removeInTurn(mendings.map((each) => ({ name: each.name, run: () => mend(each) })));
  if (stuck.length > 0) throw rollbackIncomplete(stuck, new Error(`${drill.workflowId} ended as ${end}`));
  if (lockedOut !== undefined) await changeTrust({ change: 'readmit', plan: lockedOut });
  return { drill: end, mended: mendings.map(({ name }) => name) };
}

// A drill under the trust domain's lock: refuses to break what is not whole, then goes through its rounds as one saga, so that whatever ends it in the middle
// – an abort, a failure, a worker that dies – mends what was broken.
import { sleep } from '@temporalio/workflow';
import type { DrillReport, DrillRequest, RoundReport } from '../../activities/drills/drill.ts';
import { onDrill, onTrustOnce } from '../lib/calls.ts';
import { listenToOperator } from '../lib/operator.ts';
import { changeAhead } from '../lib/progress.ts';
import type { ChangeProgress, ProgressKeeper } from '../lib/progress.ts';
import { saga } from '../lib/saga.ts';
import { blocked } from './blocked.ts';
import { kindsOfDrill, roundsOfDrill } from './drills.ts';
import { faultsOfLook } from './judge-look.ts';
import { performRound } from './perform-round.ts';
import { reasonsOf } from './reasons.ts';
import { createDrillReport } from './report.ts';
import type { KeptDrillReport } from './report.ts';
import type { Round } from './round.ts';
import { findStage } from './stage.ts';
import type { DrillStage } from './stage.ts';
import { stepsOf } from './steps.ts';

export const drillPhases = ['look'] as const;

export async function performDrill(
  request: DrillRequest,
  startedAt: string,
  progress: ProgressKeeper,
): Promise<KeptDrillReport> {
  const { plan, drill, subject } = request;
  const { trustDomain } = plan.spec;
  let change = changeAhead({ operation: `drill ${drill}`, tier: subject });
  const tell = (news: Partial<ChangeProgress>): void => {
    change = { ...change, ...news };
    progress.changed(change);
  };
  const note = (text: string): void => tell({ notes: [...change.notes, text] });
  const nobody = { approvals: 'none', approvers: [] } as const;
  const operator = listenToOperator({
    planDigest: () => undefined,
    verify: (approval) => onTrustOnce().verifyApproval({ trustDomain, approval, policy: nobody, requester: '' }),
    gates: [],
    note,
    // What is broken does not wait for anybody.
    changed: () => note('a drill does not pause: abort mends what is broken and ends it'),
  });

  const { stage, rounds } = await progress.phase('look', () => operator.interruptible(() => lookAround(request)));
  tell({ notes: stepsOf(request, rounds) });
  const reports: RoundReport[] = [];
  const reasons: string[] = [];
  await saga(async (undo) => {
    for (const [index, round] of rounds.entries()) {
      const report = await performRound({ stage, round, index, undo, operator, progress, tell, note });
      reports.push(report);
      reasons.push(...reasonsOf(round, report));
      // A domain that is not as it was is not broken further.
      if (reasons.length > 0) break;
    }
  }, progress.undoing);
  const verdict: DrillReport['verdict'] = reasons.length === 0 ? 'passed' : 'failed';
  const steps = stepsOf(request, rounds);
  const notes = change.notes.filter((line) => !steps.includes(line));
  return createDrillReport({ request, startedAt, verdict, reasons, steps, rounds: reports, notes });
}

async function lookAround(request: DrillRequest): Promise<{ stage: DrillStage; rounds: readonly Round[] }> {
  const { infrastructure } = request.plan.spec;
  const standing = await onDrill().checkFaults({ infrastructure, kinds: kindsOfDrill(request) });
  if (standing.length > 0) throw blocked(standing);
  const stage = await findStage(request);
  const faults = await lookUntilWhole(stage);
  if (faults.length > 0) throw blocked(faults);
  return { stage, rounds: roundsOfDrill(stage) };
}

/** Something may just be renewing: it has a few looks. */
export async function lookUntilWhole({ topology, workloads }: DrillStage): Promise<string[]> {
  for (let looks = 1; ; looks += 1) {
    const faults = faultsOfLook(await onDrill().lookAtDrill({ topology, workloads }));
    if (faults.length === 0 || looks === mostLooks) return faults;
    await sleep('2 seconds');
  }
}

const mostLooks = 4;

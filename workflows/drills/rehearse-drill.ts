// What a drill would do, and what would keep it from beginning. Changes nothing.
import type { DrillRequest } from '../../activities/drills/drill.ts';
import { onDrill } from '../lib/calls.ts';
import { rootMessage } from '../lib/failure-message.ts';
import { kindsOfDrill, roundsOfDrill } from './drills.ts';
import { lookUntilWhole } from './perform-drill.ts';
import { findStage } from './stage.ts';
import { stepsOf } from './steps.ts';

export interface Rehearsed {
  readonly steps: readonly string[];
  readonly blockers: readonly string[];
}

export async function rehearseDrill(request: DrillRequest): Promise<Rehearsed> {
  const { infrastructure } = request.plan.spec;
  const standing = await onDrill()
    .checkFaults({ infrastructure, kinds: kindsOfDrill(request) })
    .catch((cause: unknown) => [rootMessage(cause)]);
  const stage = await findStage(request);
  const faults = await lookUntilWhole(stage);
  return { steps: stepsOf(request, roundsOfDrill(stage)), blockers: [...standing, ...faults] };
}

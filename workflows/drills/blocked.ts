// The refusal of a drill before anything is broken: where something is wrong already, nobody could tell what the drill did.
import { ApplicationFailure } from '@temporalio/workflow';

export function blocked(faults: readonly string[]): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'Blocked',
    nonRetryable: true,
    message: `nothing was broken, as not all is whole: ${faults.join('; ')}`,
    details: [[...faults]],
  });
}

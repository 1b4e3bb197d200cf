// What a drill does, in words, in order. Pure.
import type { DrillRequest } from '../../activities/drills/drill.ts';
import type { Round } from './round.ts';

export function stepsOf({ policy, prometheus }: DrillRequest, rounds: readonly Round[]): string[] {
  return rounds.flatMap(({ failure, faults, alert, runbook, expectations, holds, afterMending }) => [
    `failure: ${failure}`,
    ...faults.map(({ name }) => `break: ${name}`),
    `alert: ${alert.name}, by ${prometheus === undefined ? 'what the fleet says' : `Prometheus at ${prometheus}`}`,
    `runbook: ${runbook.name} ${runbook.subject}, started by ${policy.startRunbook ? 'this drill' : 'the alert receiver'}`,
    ...expectations.map(({ kind, what }) => `${kind === 'keeps' ? 'must go on' : 'must stop'}: ${what}`),
    `mend: after ${holds ?? policy.hold}, at once where something stops that must go on${afterMending === undefined ? '' : '; then let agents back in whose SVIDs ended'}`,
    `recovery: all whole within ${policy.recovery}`,
  ]);
}

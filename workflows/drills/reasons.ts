// Why a round did not go as it should. Pure.
import type { RoundReport } from '../../activities/drills/drill.ts';
import type { Round } from './round.ts';

/** None where it did. */
export function reasonsOf({ alert, runbook }: Round, report: RoundReport): string[] {
  const { detected, expectations, recoveredAfterSeconds, mendedAfterSeconds } = report;
  const unmet = expectations.filter(({ met }) => !met);
  return [
    ...unmet.map(({ what, kind, said = '', afterSeconds }) => {
      const when = afterSeconds === undefined ? '' : ` after ${afterSeconds} s`;
      return `${kind === 'keeps' ? 'did not go on' : 'did not stop'}: ${what}${when}: ${said}`;
    }),
    ...(detected === undefined ? [`alert ${alert.name} did not come within ${mendedAfterSeconds} s`] : []),
    ...(detected !== undefined && report.runbook === undefined ? [`runbook ${runbook.name} did not begin`] : []),
    ...(isGood(report.runbook?.outcome, unmet.length > 0)
      ? []
      : [`runbook ${runbook.name} ended with: ${report.runbook?.outcome ?? ''}`]),
    ...(recoveredAfterSeconds === undefined
      ? ['not everything was whole again within the policy\u2019s recovery']
      : []),
  ];
}

/** What was mended early may be over before a runbook looks. */
function isGood(outcome: string | undefined, wasMendedEarly: boolean): boolean {
  return outcome === undefined || outcome === 'recovered' || (wasMendedEarly && outcome === 'nothing is wrong');
}

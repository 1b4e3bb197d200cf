// What a runbook shows while it runs: the query `progress`, the current details in the Temporal UI, and the search attributes, all from one value.
import { defineQuery, setCurrentDetails, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import type { RunbookOutcome, RunbookReport } from '../../activities/runbooks/runbook.ts';
import { provisionPhase, spiffeTrustDomain } from '../lib/search-attributes.ts';

export interface RunbookProgress extends Pick<
  RunbookReport,
  'runbook' | 'trustDomain' | 'subject' | 'alerts' | 'findings' | 'actions' | 'advice'
> {
  readonly state: 'running' | 'done';
  readonly paused: boolean;
  readonly outcome?: RunbookOutcome | undefined;
  /** In words. */
  readonly waitingFor?: string | undefined;
  /** What an approval names; there while one is waited for. */
  readonly planDigest?: string | undefined;
  readonly notes: readonly string[];
}

const progressQuery = defineQuery<RunbookProgress>('progress');

export function defineRunbookProgress(current: () => RunbookProgress): void {
  setHandler(progressQuery, current);
}

export function showRunbook(progress: RunbookProgress): void {
  const { trustDomain, state, waitingFor, outcome } = progress;
  setCurrentDetails(markdown(progress));
  upsertSearchAttributes([
    { key: spiffeTrustDomain, value: trustDomain },
    { key: provisionPhase, value: outcome ?? (waitingFor === undefined ? state : 'waiting') },
  ]);
}

function markdown(progress: RunbookProgress): string {
  const { runbook, trustDomain, subject, state, paused, outcome, waitingFor, planDigest } = progress;
  const { alerts, findings, actions, advice, notes } = progress;
  const list = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', `${title}:`, ...lines.map((line) => `- ${line}`)];
  return [
    `**${runbook}** ${subject} in ${trustDomain}: ${outcome ?? state}${paused ? ', **paused**' : ''}`,
    ...(waitingFor === undefined ? [] : ['', `Waiting for ${waitingFor}`]),
    ...(planDigest === undefined ? [] : ['', `Plan digest: \`${planDigest}\``]),
    ...list('Alerts', alerts),
    ...list('Found', findings),
    ...list(
      'Done',
      actions.map(({ what, at, ended }) => `${at} ${what}: ${ended}`),
    ),
    ...list('Left for a person', advice),
    ...list('Notes', notes),
  ].join('\n');
}

// What a rollout shows while it runs: the query `progress`, the current details in the Temporal UI, and the search attributes, all from one value.
import { defineQuery, setCurrentDetails, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import type { FailedNode, RollOutReport } from '../../activities/rollout/rollout.ts';
import { provisionPhase, spiffeTrustDomain } from '../lib/search-attributes.ts';

export interface RollOutProgress {
  readonly trustDomain: string;
  readonly state: 'checking' | 'rolling out' | 'going back' | 'done';
  readonly outcome?: RollOutReport['outcome'] | undefined;
  /** What an approval names. */
  readonly planDigest?: string | undefined;
  readonly version: string;
  readonly wave: number;
  /** Nodes that have the release, of all that are to have it. */
  readonly done: number;
  readonly total: number;
  readonly failed: readonly FailedNode[];
  readonly paused: boolean;
  /** In words. */
  readonly waitingFor?: string | undefined;
  readonly notes: readonly string[];
}

const progressQuery = defineQuery<RollOutProgress>('progress');

export function defineRollOutProgress(current: () => RollOutProgress): void {
  setHandler(progressQuery, current);
}

export function showRollOut(progress: RollOutProgress): void {
  const { trustDomain, state, outcome, waitingFor } = progress;
  setCurrentDetails(markdown(progress));
  upsertSearchAttributes([
    { key: spiffeTrustDomain, value: trustDomain },
    { key: provisionPhase, value: outcome ?? (waitingFor === undefined ? state : 'waiting') },
  ]);
}

function markdown(progress: RollOutProgress): string {
  const { trustDomain, state, outcome, version, wave, done, total, failed } = progress;
  const { paused, waitingFor, planDigest, notes } = progress;
  const list = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', `${title}:`, ...lines.map((line) => `- ${line}`)];
  return [
    `**Agents ${version}** in ${trustDomain}: ${outcome ?? state}, ${done} of ${total} nodes, wave ${wave}${paused ? ', **paused**' : ''}`,
    ...(waitingFor === undefined ? [] : ['', `Waiting for ${waitingFor}`]),
    ...(planDigest === undefined ? [] : ['', `Plan digest: \`${planDigest}\``]),
    ...list(
      'Failed',
      failed.slice(0, 20).map(({ name, what }) => `${name}: ${what}`),
    ),
    ...list('Notes', notes),
  ].join('\n');
}

// What a run has done and is doing: a query, the current details in the Temporal UI, and the search attributes, all from one value.
import {
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { provisionPhase, spiffeTrustDomain } from './search-attributes.ts';
import type { MissingHolder } from '../../activities/trust/rotation.ts';
import { rootMessage } from './failure-message.ts';

export type PhaseState = 'waiting' | 'running' | 'done' | 'skipped' | 'failed';

export interface PhaseProgress {
  /** `infrastructure`, or `agents gcp` where each segment has its own. */
  readonly name: string;
  readonly state: PhaseState;
  /** Epoch milliseconds. */
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly failure?: string;
}

export interface Progress {
  readonly trustDomain: string;
  readonly state: 'running' | 'undoing' | 'done';
  readonly phases: readonly PhaseProgress[];
  /** Of a run that replaces authorities. */
  readonly change?: ChangeProgress;
}

/** What an operator has to know of a change of trust that is under way. */
export interface ChangeProgress {
  readonly operation: string;
  readonly tier: string;
  /** What an approval names; there once the new authorities are prepared. */
  readonly planDigest?: string;
  /** Before it, `abort` undoes; once it is passed, the change only goes forward. */
  readonly pointOfNoReturn: 'ahead' | 'passed';
  readonly paused: boolean;
  /** In words: an approval, a proof, a person. */
  readonly waitingFor?: string | undefined;
  /** The first of those who keep a proof waiting. */
  readonly missing: readonly MissingHolder[];
  /** The proof's deadline has passed. */
  readonly overdue: boolean;
  readonly notes: readonly string[];
}

/** Of a change that is about to begin. */
export function changeAhead({ operation, tier }: Pick<ChangeProgress, 'operation' | 'tier'>): ChangeProgress {
  return { operation, tier, pointOfNoReturn: 'ahead', paused: false, missing: [], overdue: false, notes: [] };
}

export const progressQuery = defineQuery<Progress>('progress');
export const reportProgressSignal = defineSignal<[Progress]>('reportProgress');

export interface ProgressKeeper {
  readonly current: () => Progress;
  phase<T>(name: string, act: () => Promise<T>): Promise<T>;
  skip(name: string): void;
  /** Tells of a change of trust how it stands now. */
  readonly changed: (change: ChangeProgress) => void;
  readonly undoing: () => void;
  /** Resolves when the parent has been told: it may end right after. */
  done(): Promise<void>;
}

export interface ProgressBelow {
  /** As soon as it is known whose trust domain it is. */
  readonly named: (trustDomain: string) => Progress;
}

/** Of a workflow that people start: its own phase, until the change that it starts under the lock tells of itself. */
export function showProgressBelow(phase: string): ProgressBelow {
  let progress: Progress = {
    trustDomain: '',
    state: 'running',
    phases: [{ name: phase, state: 'running', startedAt: Date.now() }],
  };
  setHandler(progressQuery, () => progress);
  setHandler(reportProgressSignal, (reported) => {
    progress = reported;
    showProgress(progress);
  });
  return { named: (trustDomain) => (progress = { ...progress, trustDomain }) };
}

/** Keeps the progress of this workflow and tells its parent, which is what an operator looks at. */
export function createProgress(trustDomain: string, names: readonly string[]): ProgressKeeper {
  const rows = new Map<string, PhaseProgress>(names.map((name) => [name, { name, state: 'waiting' }]));
  let state: Progress['state'] = 'running';
  let change: ChangeProgress | undefined;
  const current = (): Progress => ({
    trustDomain,
    state,
    phases: [...rows.values()],
    ...(change === undefined ? {} : { change }),
  });

  // One signal at a time: the server may deliver two that are under way in either order.
  let told = Promise.resolve();
  const publish = (): Promise<void> => {
    showProgress(current());
    told = told.then(() => tellParent(current()));
    return told;
  };
  const set = (row: PhaseProgress): void => {
    rows.set(row.name, row);
    void publish();
  };

  return {
    current,
    async phase(name, act) {
      const startedAt = Date.now();
      set({ name, state: 'running', startedAt });
      try {
        const result = await act();
        set({ name, state: 'done', startedAt, endedAt: Date.now() });
        return result;
      } catch (cause) {
        const failure = isCancellation(cause) ? 'cancelled' : rootMessage(cause);
        set({ name, state: 'failed', startedAt, endedAt: Date.now(), failure });
        throw cause;
      }
    },
    skip(name) {
      set({ name, state: 'skipped' });
    },
    changed(now) {
      change = now;
      void publish();
    },
    undoing() {
      state = 'undoing';
      void publish();
    },
    async done() {
      state = 'done';
      await publish();
    },
  };
}

async function tellParent(progress: Progress): Promise<void> {
  const { parent } = workflowInfo();
  if (parent === undefined) return;
  // A parent that has ended needs no news: its end is what people see.
  await getExternalWorkflowHandle(parent.workflowId)
    .signal(reportProgressSignal, progress)
    .catch(() => undefined);
}

/** Shows a progress as this workflow's own: in the UI and as search attributes. */
export function showProgress(progress: Progress): void {
  setCurrentDetails(markdown(progress));
  upsertSearchAttributes([
    { key: spiffeTrustDomain, value: progress.trustDomain },
    { key: provisionPhase, value: phaseAttribute(progress) },
  ]);
}

/** For a run that has no phases: an operator finds it by its trust domain, however it was started. */
export function nameTrustDomain(trustDomain: string): void {
  upsertSearchAttributes([{ key: spiffeTrustDomain, value: trustDomain }]);
}

/** The phases that run now; where none runs, the state of the whole. */
function phaseAttribute({ state, phases }: Progress): string {
  const running = phases.filter((phase) => phase.state === 'running').map((phase) => phase.name);
  return state === 'running' && running.length > 0 ? running.join(', ') : state;
}

function markdown({ trustDomain, state, phases, change }: Progress): string {
  const rows = phases.map(({ name, state: phase, startedAt, endedAt, failure }) => {
    const elapsed =
      startedAt === undefined || endedAt === undefined ? '' : `${((endedAt - startedAt) / 1000).toFixed(1)} s`;
    return `| ${name} | ${phase}${failure === undefined ? '' : `: ${failure}`} | ${elapsed} |`;
  });
  const table = ['', '| Phase | State | Took |', '|---|---|---|', ...rows];
  return [`**${trustDomain}**: ${state}`, ...(change === undefined ? [] : changeLines(change)), ...table].join('\n');
}

function changeLines(change: ChangeProgress): string[] {
  const { operation, tier, planDigest, pointOfNoReturn, paused, waitingFor, missing, overdue, notes } = change;
  return [
    '',
    `${operation} of tier ${tier}; the point of no return ${pointOfNoReturn === 'ahead' ? 'lies ahead' : 'is passed'}${paused ? '; **paused**' : ''}`,
    ...(planDigest === undefined ? [] : ['', `Plan digest: \`${planDigest}\``]),
    ...(waitingFor === undefined ? [] : ['', `Waiting for ${waitingFor}${overdue ? ' (**overdue**)' : ''}`]),
    ...missing.map(
      ({ tier: of, kind, id, what, since }) =>
        `- ${kind} ${id} of ${of}: ${what}${since === undefined ? '' : `, since ${since}`}`,
    ),
    ...notes.map((note) => `- note: ${note}`),
  ];
}

// What is to be done for a claim, and what is to be said of it: from the claim, the others of its trust domain and what Temporal knows. Pure; asked again with
// the same it says the same, so that an operator that dies between two acts is followed by one that goes on.
import { specDigest } from '../../activities/spec/check-spec.ts';
import type { TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import type { Claim, Condition, OperatorStatus } from './claim.ts';
import { leftBy } from './runs.ts';
import type { DomainRuns, Run } from './runs.ts';

export type Act = 'hold' | 'release' | 'bootstrap' | 'update' | 'tearDown' | 'cancelBootstrap' | 'abortUpdate';

export interface Stated extends Omit<Condition, 'observedGeneration' | 'lastTransitionTime'> {
  /** Of what was said before and is said again unseen; the claim's own otherwise. */
  readonly observedGeneration?: number;
}

export interface Verdict {
  /** One at a time: what comes next is seen when it is done. */
  readonly act: Act | undefined;
  /** Without times, which are of when a condition changed. */
  readonly conditions: readonly Stated[];
  readonly status: Pick<OperatorStatus, 'workflowId' | 'runId' | 'planDigest' | 'waitingFor' | 'phases'>;
  /** When to look again although nothing has been heard; the longest otherwise. */
  readonly againMs: number;
}

/** A run that failed is begun again after this, unless a person has to do something first. */
export const retryMs = 120_000;
const watchedMs = 2_000;
const quietMs = 60_000;
/** To begin again as it is would end as it did. */
const forPeople: ReadonlySet<string> = new Set([
  'InvalidRequest',
  'Conflict',
  'PermissionDenied',
  'Unsupported',
  'TrustViolation',
  'RollbackIncomplete',
  'Aborted',
]);

const state = (type: Stated['type'], status: Stated['status'], reason: string, message: string): Stated => ({
  type,
  status,
  reason,
  message,
});

export function decide(claim: Claim, holder: Claim | undefined, runs: DomainRuns, now: number): Verdict {
  if (claim.isDeleted) return part(claim, holder, runs, now);
  if (typeof claim.spec === 'string') return refused('SpecInvalid', claim.spec);
  if (holder !== undefined && holder.uid !== claim.uid)
    return refused('TrustDomainTaken', `trust domain ${claim.spec.trustDomain} is claimed by ${holder.name}`);
  const stranger = strangerIn(claim, runs);
  if (stranger !== undefined) return refused('TrustDomainTaken', stranger);
  // Before anything is begun: what is begun is not to be forgotten by a deletion.
  if (!claim.isHeld) return verdict({ act: 'hold', conditions: [accepted], againMs: 0 });
  return live(claim, claim.spec, runs, now);
}

const accepted = state('Accepted', 'True', 'Accepted', 'the specification holds');

function refused(reason: string, message: string): Verdict {
  return verdict({ conditions: [state('Accepted', 'False', reason, message)] });
}

function verdict(given: Partial<Verdict> & Pick<Verdict, 'conditions'>): Verdict {
  return { act: undefined, status: {}, againMs: quietMs, ...given };
}

/** A trust domain that stands or grows, and was begun by somebody else. */
function strangerIn(claim: Claim, runs: DomainRuns): string | undefined {
  const { bootstrap } = runs;
  if (bootstrap === undefined || claim.adopts || bootstrap.claimUid === claim.uid) return undefined;
  if (bootstrap.state !== 'running' && !stands(runs)) return undefined;
  return `${bootstrap.workflowId} was not started by this claim; the annotation espalier.io/adopt: "true" takes the trust domain over`;
}

/** What was grown and has not been torn down since. */
function stands({ bootstrap, tearDown }: DomainRuns): boolean {
  if (bootstrap?.state !== 'completed') return false;
  return tearDown === undefined || tearDown.startedAt < (bootstrap.closedAt ?? 0);
}

function live(claim: Claim, spec: TrustDomainSpec, runs: DomainRuns, now: number): Verdict {
  const { bootstrap, tearDown } = runs;
  if (tearDown?.state === 'running')
    return following(tearDown, state('Standing', 'False', 'TearingDown', 'an earlier tear-down is under way'));
  if (bootstrap?.state === 'running')
    return following(bootstrap, state('Standing', 'False', 'Growing', growing(bootstrap)));
  if (stands(runs)) return upToDate(claim, spec, runs, now);
  const isOver = bootstrap === undefined || bootstrap.state === 'completed'; // one that completed has been torn down since
  if (isOver)
    return verdict({
      act: 'bootstrap',
      conditions: [accepted, state('Standing', 'False', 'Growing', 'bootstrapTrustDomain is started')],
      againMs: watchedMs,
    });
  return again(claim, bootstrap, 'bootstrap', 'Standing', 'GrowFailed', [accepted], now);
}

function growing({ progress }: Run): string {
  const running = progress?.phases.filter((phase) => phase.state === 'running').map(({ name }) => name) ?? [];
  if (progress?.state === 'undoing') return 'what was begun is undone';
  return running.length === 0 ? 'bootstrapTrustDomain runs' : `under way: ${running.join(', ')}`;
}

function upToDate(claim: Claim, spec: TrustDomainSpec, runs: DomainRuns, now: number): Verdict {
  const standing = state('Standing', 'True', 'Standing', `trust domain ${spec.trustDomain} stands`);
  const { update, standsAs } = runs;
  const wanted = specDigest(spec);
  if (update?.state === 'running') {
    const { waitingFor } = update.progress?.change ?? {};
    const waits = waitingFor !== undefined && /approval/.test(waitingFor);
    const said =
      update.specDigest === wanted || update.specDigest === undefined
        ? (waitingFor ?? 'updateTrustDomain runs')
        : 'updateTrustDomain runs for an earlier specification';
    return following(update, standing, state('UpToDate', 'False', waits ? 'WaitingForApproval' : 'Updating', said));
  }
  if (standsAs === wanted)
    return verdict({
      conditions: [accepted, standing, state('UpToDate', 'True', 'UpToDate', 'it is as the claim says')],
    });
  const isOfThis = update !== undefined && update.claimUid === claim.uid && update.specDigest === wanted;
  if (isOfThis && update.state === 'failed')
    return again(claim, update, 'update', 'UpToDate', 'UpdateFailed', [accepted, standing], now);
  return verdict({
    act: 'update',
    conditions: [accepted, standing, state('UpToDate', 'False', 'Updating', 'updateTrustDomain is started')],
    againMs: watchedMs,
  });
}

/** Begins again what failed, later or when the claim has changed. */
function again(
  claim: Claim,
  run: Run,
  act: Act,
  type: Stated['type'],
  reason: string,
  others: readonly Stated[],
  now: number,
): Verdict {
  const { type: kind, message } = run.failure ?? { type: 'Error', message: 'it failed' };
  const isChanged = run.claimUid === claim.uid && run.claimGeneration !== claim.generation;
  const waitMs = (run.closedAt ?? 0) + retryMs - now;
  const isDue = isChanged || (!forPeople.has(kind) && waitMs <= 0);
  const next = forPeople.has(kind) ? 'it is begun again when the claim changes' : 'it is begun again soon';
  const status = { workflowId: run.workflowId, runId: run.runId };
  const said = state(type, 'False', reason, `${kind}: ${message}; ${next}`);
  if (!isDue)
    return verdict({ conditions: [...others, said], status, againMs: Math.min(quietMs, Math.max(waitMs, 1)) });
  return verdict({ act, conditions: [...others, said], status, againMs: watchedMs });
}

function following(run: Run, ...conditions: readonly Stated[]): Verdict {
  const { progress, workflowId, runId } = run;
  const { planDigest, waitingFor } = progress?.change ?? {};
  return verdict({
    conditions: [accepted, ...conditions],
    status: {
      workflowId,
      runId,
      ...(planDigest === undefined ? {} : { planDigest }),
      ...(waitingFor === undefined ? {} : { waitingFor }),
      ...(progress === undefined
        ? {}
        : {
            phases: progress.phases.map(({ name, state: phase, failure }) => ({
              name,
              state: phase,
              ...(failure === undefined ? {} : { failure }),
            })),
          }),
    },
    againMs: watchedMs,
  });
}

/** The claim is being deleted: the trust domain goes first. */
function part(claim: Claim, holder: Claim | undefined, runs: DomainRuns, now: number): Verdict {
  if (!claim.isHeld) return verdict({ conditions: [] });
  const isTheirs = holder !== undefined && holder.uid !== claim.uid;
  if (isTheirs || strangerIn(claim, runs) !== undefined) return verdict({ act: 'release', conditions: [], againMs: 0 }); // nothing of it is this claim's
  const { bootstrap, update, tearDown } = runs;
  const begun = bootstrap?.claimUid === claim.uid || claim.adopts || stands(runs);
  if (bootstrap === undefined || !begun) return verdict({ act: 'release', conditions: [], againMs: 0 });
  if (claim.isProtected)
    return verdict({
      conditions: [
        state(
          'TornDown',
          'False',
          'DeletionProtected',
          'a root of trust is not deleted by a slip: set spec.deletionProtection to false, and the deletion goes on',
        ),
      ],
    });
  if (typeof claim.spec === 'string')
    return verdict({ conditions: [state('TornDown', 'False', 'SpecInvalid', claim.spec)] });
  if (bootstrap.state === 'running')
    return {
      ...following(bootstrap, state('TornDown', 'False', 'Undoing', 'the bootstrap is cancelled and undone first')),
      act: bootstrap.progress?.state === 'undoing' ? undefined : 'cancelBootstrap',
    };
  if (update?.state === 'running') {
    const said = 'an update is under way: it is undone first, or, where it has begun to take away, ends first';
    const isTold = update.progress?.state === 'undoing' || update.claimUid !== claim.uid; // a person's is a person's to abort
    return {
      ...following(update, state('TornDown', 'False', 'Undoing', said)),
      act: isTold ? undefined : 'abortUpdate',
    };
  }
  if (tearDown?.state === 'running')
    return following(tearDown, state('TornDown', 'False', 'TearingDown', 'tearDownTrustDomain runs'));
  const isOfThis = tearDown !== undefined && tearDown.startedAt >= (bootstrap.closedAt ?? 0);
  if (isOfThis && tearDown.state === 'completed') {
    const left = leftBy(tearDown);
    if (left.length === 0) return verdict({ act: 'release', conditions: [], againMs: 0 });
    const said = left.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
    return later(
      tearDown,
      state('TornDown', 'False', 'LeftBehind', `it is tried again until nothing is left: ${said}`),
      now,
    );
  }
  if (isOfThis && tearDown.state === 'failed') {
    const { message } = tearDown.failure ?? { message: 'it failed' };
    return later(tearDown, state('TornDown', 'False', 'TearDownFailed', message), now);
  }
  return verdict({
    act: 'tearDown',
    conditions: [state('TornDown', 'False', 'TearingDown', 'tearDownTrustDomain is started')],
    againMs: watchedMs,
  });
}

function later(run: Run, said: Stated, now: number): Verdict {
  const waitMs = (run.closedAt ?? 0) + retryMs - now;
  const status = { workflowId: run.workflowId, runId: run.runId };
  return verdict({
    act: waitMs <= 0 ? 'tearDown' : undefined,
    conditions: [said],
    status,
    againMs: Math.min(quietMs, Math.max(waitMs, watchedMs)),
  });
}

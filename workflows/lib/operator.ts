// What people say to a change of trust that is under way: pause, resume, abort, stand aside, approve, go on without somebody. Heard at `trustChange/<trust
// domain>`, whatever started the change.
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  defineSignal,
  defineUpdate,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import type { Approval, Gate, GivenApproval } from '../../activities/trust/rotation.ts';
import { rootMessage } from './failure-message.ts';

export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');
export const abortSignal = defineSignal<[string?]>('abort');
/** Sent by an emergency, which takes over from wherever the change stands. */
export const standAsideSignal = defineSignal<[string]>('standAside');
export const approveUpdate = defineUpdate<string, [Approval]>('approve');
export const proceedWithoutUpdate = defineUpdate<string, [ProceedWithout]>('proceedWithout');

export interface ProceedWithout extends Omit<Approval, 'gate'> {
  /** SPIFFE IDs; they are named in the report. */
  readonly holders: readonly string[];
}

export interface OperatorOptions {
  /** Undefined until it is known. */
  readonly planDigest: () => string | undefined;
  /** Throws PermissionDenied. */
  readonly verify: (approval: Approval) => Promise<GivenApproval>;
  readonly gates: readonly Gate[];
  readonly note: (text: string) => void;
  readonly changed: () => void;
  /** What was said to the run that this one goes on from. */
  readonly before?: { readonly paused: boolean; readonly approvals: readonly GivenApproval[] };
}

export interface Operator {
  readonly isPaused: () => boolean;
  readonly approvals: () => readonly GivenApproval[];
  /** Holders that somebody decided to go on without. */
  readonly without: () => readonly string[];
  /** Waits while paused; throws where the change is to end here. */
  safePoint(): Promise<void>;
  /** Runs something that may be left at any time; an abort or an emergency ends it. */
  interruptible<T>(act: () => Promise<T>): Promise<T>;
  /** Resolves when somebody has approved, and at once where that is done. */
  approved(gate: Gate): Promise<void>;
  /** The same, for so many milliseconds; returns whether somebody has. */
  approvedWithin(gate: Gate, patienceMs: number): Promise<boolean>;
  /** Waits a minute, or until somebody says `resume`; throws where an emergency takes over. */
  attention(): Promise<void>;
  /** How often somebody has said `resume`. */
  readonly resumes: () => number;
  /** From now on `abort` comes too late. */
  readonly passPointOfNoReturn: () => void;
}

export function listenToOperator({ planDigest, verify, gates, note, changed, before }: OperatorOptions): Operator {
  let [paused, passed, resumed] = [before?.paused === true, false, 0];
  let ending: ApplicationFailure | undefined;
  const approvals: GivenApproval[] = [...(before?.approvals ?? [])];
  const without = new Set<string>();
  const scopes = new Set<CancellationScope>();
  const end = (failure: ApplicationFailure): void => {
    ending ??= failure;
    for (const scope of scopes) scope.cancel();
  };

  setHandler(pauseSignal, () => {
    paused = true;
    changed();
  });
  setHandler(resumeSignal, () => {
    paused = false;
    resumed += 1;
    changed();
  });
  setHandler(abortSignal, (reason = 'no reason given') => {
    if (passed) note(`abort (${reason}) came after the point of no return: the change goes forward`);
    else end(ended('Aborted', `aborted: ${reason}`));
  });
  setHandler(standAsideSignal, (by) => end(ended('StoodAside', `stood aside for ${by}`)));

  const checkDigest = ({ planDigest: given }: Pick<Approval, 'planDigest'>): void => {
    const digest = planDigest();
    if (digest === undefined) throw refused('there is no plan to approve yet');
    if (given !== digest) throw refused(`the plan's digest is ${digest}, not ${given}`);
  };
  const take = async (approval: Approval): Promise<GivenApproval> => {
    // A change that was cancelled too late to be undone still has its gates.
    const given = await CancellationScope.nonCancellable(() => verify(approval)).catch((cause: unknown) => {
      throw refused(rootMessage(cause)); // an activity's failure would hide the reason behind its own
    });
    // Meanwhile the plan may have become another one.
    checkDigest(approval);
    approvals.push(given);
    note(`${given.approver} approved ${given.gate}: ${given.reason}`);
    return given;
  };
  setHandler(approveUpdate, async (approval) => `${(await take(approval)).gate} approved by ${approval.approver}`, {
    validator(approval: Approval) {
      checkDigest(approval);
      if (!gates.includes(approval.gate))
        throw refused(`no gate has the name ${JSON.stringify(approval.gate)}; there are ${gates.join(' and ')}`);
    },
  });
  setHandler(
    proceedWithoutUpdate,
    async ({ holders, ...approval }) => {
      const names = [...holders].sort();
      await take({ ...approval, gate: `without ${names.join(' ')}` });
      for (const holder of names) without.add(holder);
      changed();
      return `going on without ${names.join(', ')}`;
    },
    {
      validator({ holders, ...approval }: ProceedWithout) {
        checkDigest(approval);
        if (!Array.isArray(holders) || holders.length === 0) throw refused('no holders are named');
      },
    },
  );

  const check = (): void => {
    if (ending !== undefined) throw ending;
  };
  const wait = async (until: () => boolean, timeout?: number | '1 minute'): Promise<void> => {
    const isOver = () => ending !== undefined || until();
    await (timeout === undefined ? condition(isOver) : condition(isOver, timeout));
    check();
  };
  const isApproved = (gate: Gate): boolean =>
    approvals.some((given) => given.gate === gate && given.planDigest === planDigest());
  return {
    isPaused: () => paused,
    approvals: () => approvals,
    without: () => [...without].sort(),
    async safePoint() {
      check();
      if (paused) await wait(() => !paused);
    },
    async interruptible(act) {
      check();
      return CancellationScope.cancellable(async () => {
        const scope = CancellationScope.current();
        scopes.add(scope);
        try {
          return await act();
        } catch (cause) {
          if (ending !== undefined && isCancellation(cause)) throw ending;
          throw cause;
        } finally {
          scopes.delete(scope);
        }
      });
    },
    approved: (gate) => wait(() => isApproved(gate)),
    async approvedWithin(gate, patienceMs) {
      await wait(() => isApproved(gate), patienceMs);
      return isApproved(gate);
    },
    async attention() {
      const before = resumed;
      await wait(() => resumed > before, '1 minute');
    },
    resumes: () => resumed,
    passPointOfNoReturn() {
      passed = true;
    },
  };
}

function ended(type: 'Aborted' | 'StoodAside', message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, nonRetryable: true, message });
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'InvalidRequest', nonRetryable: true, message });
}

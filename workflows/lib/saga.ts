// Sagas: the undo is recorded before the act; when something fails, or the workflow is cancelled, everything begun is undone, newest first,
// even if an undo fails – what could not be undone is thrown, never hidden.
import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import { rootMessage } from './failure-message.ts';

/** Takes one thing away; content when it is not there. */
export interface Removal {
  /** What is taken away, as a report names it: `aws instance gcp-node-0`. */
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

export interface FailedRemoval {
  readonly name: string;
  readonly reason: string;
}

export type Undo = (removal: Removal) => void;

export async function saga<T>(steps: (undo: Undo) => Promise<T>, onUndo: () => void): Promise<T> {
  const begun: Removal[] = [];
  try {
    return await steps((removal) => {
      begun.push(removal);
    });
  } catch (cause) {
    onUndo();
    const stuck = await CancellationScope.nonCancellable(() => removeInTurn(begun.toReversed()));
    throw stuck.length === 0 ? cause : rollbackIncomplete(stuck, cause);
  }
}

/** All of them, one after the other, whatever fails. */
export async function removeInTurn(removals: readonly Removal[]): Promise<FailedRemoval[]> {
  const failed: FailedRemoval[] = [];
  for (const removal of removals) failed.push(...(await attempt(removal)));
  return failed;
}

/** All of them at once, whatever fails. */
export async function removeTogether(removals: readonly Removal[]): Promise<FailedRemoval[]> {
  const failed = await Promise.all(removals.map(attempt));
  return failed.flat();
}

async function attempt({ name, run }: Removal): Promise<FailedRemoval[]> {
  try {
    await run();
    return [];
  } catch (cause) {
    return [{ name, reason: rootMessage(cause) }];
  }
}

export function rollbackIncomplete(stuck: readonly FailedRemoval[], cause: unknown): ApplicationFailure {
  const list = stuck.map(({ name, reason }) => `${name} (${reason})`).join('; ');
  const why = isCancellation(cause) ? 'cancelled' : rootMessage(cause);
  return ApplicationFailure.create({
    type: 'RollbackIncomplete',
    nonRetryable: true,
    message: `${why}; could not be undone and needs a person: ${list}`,
    details: [stuck],
    ...(cause instanceof Error ? { cause } : {}),
  });
}

/** Waits for all, then throws the first failure: none is left running behind the saga's back. */
export async function settleAll<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

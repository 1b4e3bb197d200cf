// Whether Crossplane has done what was asked, and if not why: the condition, since when, and the part that it hangs on.
import type { CompositeObject, Condition, Objects } from './objects.ts';

/** Undefined where it is ready: of the generation that it has now, and no reconciliation failed. */
export function unreadiness({ metadata, status }: CompositeObject): string | undefined {
  if (metadata.deletionTimestamp !== undefined) return `is being deleted since ${metadata.deletionTimestamp}`;
  const conditions = status?.conditions ?? [];
  for (const type of ['Synced', 'Ready']) {
    const condition = conditions.find((one) => one.type === type);
    if (condition === undefined) return `has no condition ${type} yet: nobody has looked at it`;
    if (condition.status !== 'True') return `is not ready: ${describe(condition)}`;
    const { observedGeneration } = condition;
    if (observedGeneration !== undefined && observedGeneration < (metadata.generation ?? 0))
      return `is ready as it was, not as it is to be: ${type} is of generation ${observedGeneration}, not ${metadata.generation ?? 0}`;
  }
  return undefined;
}

/** The same, and of its parts the first that is not ready: down to the one that a cloud refuses. */
export async function explain(objects: Objects, object: CompositeObject): Promise<string | undefined> {
  const reason = unreadiness(object);
  if (reason === undefined) return undefined;
  const said = `${object.kind} ${object.metadata.name} ${reason}`;
  for (const reference of object.spec.crossplane?.resourceRefs ?? []) {
    const part = await objects.look(reference);
    const cause = part === undefined ? undefined : await explain(objects, part);
    // What is only not there yet is no reason while another part says why it cannot be.
    if (cause !== undefined && !cause.includes('nobody has looked at it')) return `${said}; ${cause}`;
  }
  return said;
}

function describe({ type, status, reason, message, lastTransitionTime }: Condition): string {
  const since = lastTransitionTime === undefined ? '' : ` since ${lastTransitionTime}`;
  return `${type} is ${status}${since}${reason === undefined ? '' : `, ${reason}`}${message === undefined ? '' : `: ${message}`}`;
}

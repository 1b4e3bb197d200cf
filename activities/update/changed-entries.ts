// What a segment's or a cluster's workloads want otherwise of its entries. Pure.
import type { RegisteredWorkload } from '../plan.ts';
import type { ChangedEntries, FoundEntry } from './update.ts';

/** `found`: those below the nodes' alias. An entry with other selectors is another one: the new one comes first, then the old one goes. */
export function changedEntries(workloads: readonly RegisteredWorkload[], found: readonly FoundEntry[]): ChangedEntries {
  return {
    addWorkloads: workloads
      .filter((workload) => !found.some((entry) => isSame(entry, workload)))
      .map(({ spiffeId }) => spiffeId),
    removeEntries: found.filter((entry) => entry.isOurs && !workloads.some((workload) => isSame(entry, workload))),
  };
}

function isSame(entry: FoundEntry, { spiffeId, selectors }: RegisteredWorkload): boolean {
  return entry.spiffeId === spiffeId && sameSet(entry.selectors, selectors);
}

export function without(all: readonly string[], others: readonly string[]): string[] {
  return all.filter((one) => !others.includes(one));
}

export function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one) => b.includes(one));
}

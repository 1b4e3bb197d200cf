// Entries that go are identities that go. When most of a cluster's would go at once, that is more often a slip – a resource deleted, a selector mistyped, a
// right withdrawn – than meant: they are kept until somebody says that the loss is meant.
import type { EntryPlan } from './plan-entries.ts';

export interface GuardRules {
  /** Of a cluster's entries: 0.5 is half of them; 1 lets everything go. */
  readonly share: number;
  /** So many may always go: a small cluster is often emptied. */
  readonly always: number;
  /** Clusters whose loss somebody has accepted. */
  readonly accepted: ReadonlySet<string>;
}

export interface GuardedRemoval {
  readonly remove: EntryPlan['remove'];
  readonly held: readonly { readonly cluster: string; readonly wouldGo: number; readonly of: number }[];
}

/** `owned` counts the entries of each cluster that the server has now. */
export function guardRemoval(
  remove: EntryPlan['remove'],
  owned: ReadonlyMap<string, number>,
  { share, always, accepted }: GuardRules,
): GuardedRemoval {
  const going = new Map<string, number>();
  for (const { owner } of remove) going.set(owner, (going.get(owner) ?? 0) + 1);
  const held = [...going]
    .map(([cluster, wouldGo]) => ({ cluster, wouldGo, of: owned.get(cluster) ?? wouldGo }))
    .filter(({ cluster, wouldGo, of }) => !accepted.has(cluster) && wouldGo > always && wouldGo > share * of);
  const holding = new Set(held.map(({ cluster }) => cluster));
  return { remove: remove.filter(({ owner }) => !holding.has(owner)), held };
}

// What has to be done so that the wanted entries stand: compared by key with what the server has. Pure; the same input makes the same plan.
import { comparePreference } from '../custom-resources/declarers.ts';
import type { OwnerOf } from './ownership.ts';
import { differences } from './wanted-entry.ts';
import type { CurrentEntry, DeclaredEntry } from './wanted-entry.ts';

export interface EntryPlan {
  readonly create: readonly DeclaredEntry[];
  readonly update: readonly (DeclaredEntry & { readonly id: string; readonly fields: readonly string[] })[];
  readonly remove: readonly (CurrentEntry & { readonly owner: string })[];
  /** They stand as they are wanted, whoever made them. */
  readonly standing: readonly DeclaredEntry[];
  /** Another object, which goes first, wants an entry with the same key. */
  readonly masked: readonly DeclaredEntry[];
  /** Somebody else's entry stands in the place, and is otherwise than wanted. */
  readonly taken: readonly (DeclaredEntry & { readonly id: string; readonly fields: readonly string[] })[];
}

export interface Situation {
  readonly declared: readonly DeclaredEntry[];
  readonly current: readonly CurrentEntry[];
  readonly ownerOf: OwnerOf;
  /** Clusters all of whose objects are known: of the others nothing is removed. */
  readonly known: ReadonlySet<string>;
}

export function planEntries({ declared, current, ownerOf, known }: Situation): EntryPlan {
  const there = byKey(current);
  const wanted = new Map<string, DeclaredEntry[]>();
  for (const one of declared) {
    const rivals = wanted.get(one.entry.key);
    if (rivals === undefined) wanted.set(one.entry.key, [one]);
    else rivals.push(one);
  }
  const plan = {
    create: [] as DeclaredEntry[],
    update: [] as EntryPlan['update'][number][],
    remove: [] as EntryPlan['remove'][number][],
    standing: [] as DeclaredEntry[],
    masked: [] as DeclaredEntry[],
    taken: [] as EntryPlan['taken'][number][],
  };
  for (const [key, rivals] of wanted) {
    const [first, ...others] = rivals.length === 1 ? rivals : rivals.sort((a, b) => comparePreference(a.by, b.by));
    if (first === undefined) continue;
    plan.masked.push(...others);
    const [stands, ...spare] = ownFirst(there.get(key) ?? [], ownerOf);
    there.set(key, spare);
    if (stands === undefined) {
      plan.create.push(first);
      continue;
    }
    const fields = differences(first.entry, stands);
    if (fields.length === 0) plan.standing.push(first);
    else if (ownerOf(stands) === undefined) plan.taken.push({ ...first, id: stands.id, fields });
    else plan.update.push({ ...first, id: stands.id, fields });
  }
  for (const left of there.values()) {
    for (const entry of left) {
      const owner = ownerOf(entry);
      if (owner !== undefined && known.has(owner)) plan.remove.push({ ...entry, owner });
    }
  }
  return plan;
}

function byKey(current: readonly CurrentEntry[]): Map<string, CurrentEntry[]> {
  const there = new Map<string, CurrentEntry[]>();
  for (const entry of current) {
    const same = there.get(entry.key);
    if (same === undefined) there.set(entry.key, [entry]);
    else same.push(entry);
  }
  return there;
}

/** A server has one entry for a key; should it have several, what is ours is kept and what is not is left alone. */
function ownFirst(entries: readonly CurrentEntry[], ownerOf: OwnerOf): readonly CurrentEntry[] {
  if (entries.length < 2) return entries;
  return [...entries].sort((a, b) => Number(ownerOf(a) === undefined) - Number(ownerOf(b) === undefined));
}

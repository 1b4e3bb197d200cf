// Who listens. Streams of processes with the same selectors are one group: what it matches is found once, its updates are made once, and only groups
// that a change concerns are told of it.
import { formatSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { AgentEntry } from '../sync/entry.ts';
import type { Bell } from './bell.ts';
import type { ChangedEntry } from './changed-entries.ts';
import { createEntryIndex } from './entry-index.ts';
import { isSameUpdate } from './workload-update.ts';
import type { WorkloadUpdate } from './workload-update.ts';

export interface Subscriber {
  readonly bell: Bell;
  /** What its reader has taken, and what it has then done with it: it came for the next. */
  taken?: WorkloadUpdate;
  drained?: WorkloadUpdate;
}

export interface Group {
  readonly selectors: readonly Selector[];
  readonly members: Set<Subscriber>;
  matched?: readonly AgentEntry[] | undefined;
  update?: WorkloadUpdate | undefined;
}

/** Open streams, and those that have not been written the present update yet. */
export interface StreamCount {
  readonly open: number;
  readonly lagging: number;
}

/** Where groups learn what there is for them. */
export interface GroupSource {
  matching(selectors: readonly Selector[]): readonly AgentEntry[];
  compose(entries: readonly AgentEntry[]): WorkloadUpdate;
}

export class SubscriberGroups {
  readonly #source: GroupSource;
  readonly #groups = new Map<string, Group>();
  /** By entry id: whose streams it concerns. */
  readonly #concerned = new Map<string, Set<Group>>();

  constructor(source: GroupSource) {
    this.#source = source;
  }

  join(selectors: readonly Selector[], subscriber: Subscriber): Group {
    const key = keyOf(selectors);
    const group = this.#groups.get(key) ?? { selectors, members: new Set() };
    group.members.add(subscriber);
    this.#groups.set(key, group);
    return group;
  }

  leave(group: Group, subscriber: Subscriber): void {
    group.members.delete(subscriber);
    if (group.members.size > 0) return;
    this.#groups.delete(keyOf(group.selectors));
    this.forgetMatches([group]);
  }

  all(): readonly Group[] {
    return [...this.#groups.values()];
  }

  /** Those that had one of the changed entries, and those that match one now. */
  concernedBy(changed: readonly ChangedEntry[]): readonly Group[] {
    const index = createEntryIndex(changed.flatMap(({ entry }) => entry ?? []));
    const match = this.all().filter(({ selectors }) => index.matching(selectors).length > 0);
    return [...new Set([...this.having(changed.map(({ id }) => id)), ...match])];
  }

  having(entryIds: readonly string[]): readonly Group[] {
    return entryIds.flatMap((id) => [...(this.#concerned.get(id) ?? [])]);
  }

  matchesOf(group: Group): readonly AgentEntry[] {
    if (group.matched !== undefined) return group.matched;
    group.matched = this.#source.matching(group.selectors);
    for (const { id } of group.matched) {
      const concerned = this.#concerned.get(id) ?? new Set();
      this.#concerned.set(id, concerned.add(group));
    }
    return group.matched;
  }

  forgetMatches(groups: readonly Group[]): void {
    for (const group of groups) {
      for (const { id } of group.matched ?? []) {
        const concerned = this.#concerned.get(id);
        concerned?.delete(group);
        if (concerned?.size === 0) this.#concerned.delete(id);
      }
      group.matched = undefined;
    }
  }

  /** The same object for as long as nothing in it changes. */
  updateOf(group: Group): WorkloadUpdate {
    const update = this.#source.compose(this.matchesOf(group));
    if (group.update === undefined || !isSameUpdate(group.update, update)) group.update = update;
    return group.update;
  }

  /** What the group matches and its update lacks. */
  missing(group: Group, { identities }: WorkloadUpdate): AgentEntry[] {
    const held = new Set(identities.map(({ entry }) => entry.id));
    return this.matchesOf(group).filter(({ id }) => !held.has(id));
  }

  /** Of all groups. */
  entries(): Set<AgentEntry> {
    const found = new Set<AgentEntry>();
    for (const group of this.#groups.values()) for (const entry of this.matchesOf(group)) found.add(entry);
    return found;
  }

  streams(): StreamCount {
    let [open, lagging] = [0, 0];
    for (const group of this.#groups.values()) {
      open += group.members.size;
      const update = this.updateOf(group);
      for (const { taken, drained } of group.members) if (taken !== undefined && drained !== update) lagging += 1;
    }
    return { open, lagging };
  }

  tell(groups: Iterable<Group>): void {
    for (const { members } of new Set(groups)) for (const { bell } of members) bell.ring();
  }
}

function keyOf(selectors: readonly Selector[]): string {
  return selectors.map(formatSelector).sort().join('\0');
}

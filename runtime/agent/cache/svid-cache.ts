// What the agent may hand to workloads: entries, bundles and X.509-SVIDs, and who is to be told when any of it changes. No I/O: the sync fills it.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { formatSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { AgentEntry } from '../sync/entry.ts';
import { createBell } from './bell.ts';
import type { Bell } from './bell.ts';
import { createEntryIndex } from './entry-index.ts';
import { isFor, isOutdated } from './workload-svid.ts';
import type { WorkloadSvid } from './workload-svid.ts';

export interface WorkloadIdentity {
  readonly entry: AgentEntry;
  readonly svid: WorkloadSvid;
}

/** Everything that one set of selectors is entitled to. */
export interface WorkloadUpdate {
  readonly identities: readonly WorkloadIdentity[];
  readonly bundle: TrustBundle;
  readonly federatedBundles: readonly TrustBundle[];
}

export interface SvidCacheOptions {
  /** SVIDs that are kept ready although nobody asks; those with a subscriber come on top. */
  readonly maxSize: number;
  readonly bundle: TrustBundle;
  readonly clock: () => number;
}

interface Subscriber {
  readonly bell: Bell;
  /** What its reader has taken, and what it has then done with it: it came for the next. */
  taken?: WorkloadUpdate;
  drained?: WorkloadUpdate;
}

/** Streams of processes with the same selectors have the same updates, made once. */
interface Group {
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

/** The reading side. */
export interface WorkloadCache {
  matching(selectors: readonly Selector[]): readonly AgentEntry[];
  update(selectors: readonly Selector[]): WorkloadUpdate;
  /** The first as soon as every matching entry that the server signs for has its SVID, then one for each change. */
  subscribe(selectors: readonly Selector[], signal: AbortSignal): AsyncGenerator<WorkloadUpdate, never, undefined>;
  /** The trust domain's bundle and every federated one that is here: at once, and again whenever one of them changes, comes or goes. */
  subscribeBundles(signal: AbortSignal): AsyncGenerator<readonly TrustBundle[], never, undefined>;
}

export class SvidCache implements WorkloadCache {
  readonly #options: SvidCacheOptions;
  readonly #svids = new Map<string, WorkloadSvid>();
  readonly #failed = new Set<string>();
  readonly #bundleBells = new Set<Bell>();
  readonly #groups = new Map<string, Group>();
  /** By entry id: whose streams it concerns. */
  #concerned = new Map<string, Set<Group>>();
  #entries: ReadonlyMap<string, AgentEntry> = new Map();
  #index = createEntryIndex([]);
  #bundle: TrustBundle;
  #federated: ReadonlyMap<string, TrustBundle> = new Map();
  #replacedAt: number | undefined;
  /** Rings when somebody waits for an SVID that is not there. */
  readonly wanted = createBell();
  /** Rings when entries, bundles or SVIDs have changed. */
  readonly changed = createBell();

  constructor(options: SvidCacheOptions) {
    this.#options = options;
    this.#bundle = options.bundle;
  }

  get svidCount(): number {
    return this.#svids.size;
  }

  get entryCount(): number {
    return this.#entries.size;
  }

  /** The trust domain's own and the federated ones. */
  get bundleCount(): number {
    return 1 + this.#federated.size;
  }

  /** What is held for an entry, due or not. */
  held(entryId: string): WorkloadSvid | undefined {
    return this.#svids.get(entryId);
  }

  /** When the first SVID ends, epoch ms; infinity where there is none. */
  nextExpiry(): number {
    let first = Infinity;
    for (const { notAfter } of this.#svids.values()) first = Math.min(first, notAfter);
    return first;
  }

  /** When the server was last heard, epoch ms. */
  get replacedAt(): number | undefined {
    return this.#replacedAt;
  }

  get bundle(): TrustBundle {
    return this.#bundle;
  }

  svids(): Iterable<WorkloadSvid> {
    return this.#svids.values();
  }

  /** Entries and bundles as the server has them now. An object that is the same as before means: unchanged. */
  replace(
    entries: ReadonlyMap<string, AgentEntry>,
    bundle: TrustBundle,
    federated: ReadonlyMap<string, TrustBundle>,
  ): void {
    this.#replacedAt = this.#options.clock();
    const changed = changedEntries(this.#entries, entries);
    const isOnlyEntries = bundle === this.#bundle && sameValues(federated, this.#federated);
    if (isOnlyEntries && changed.length === 0) return;
    this.#entries = entries;
    this.#bundle = bundle;
    this.#federated = federated;
    const concerned = isOnlyEntries ? this.#groupsOf(changed) : [...this.#groups.values()];
    if (changed.length > 0) this.#index = createEntryIndex([...entries.values()].filter(({ storeSvid }) => !storeSvid));
    for (const [id, svid] of this.#svids) {
      const entry = entries.get(id);
      if (entry === undefined || !isFor(svid, entry)) this.#svids.delete(id);
    }
    for (const id of this.#failed) if (!entries.has(id)) this.#failed.delete(id);
    for (const group of concerned) this.#forgetMatches(group);
    this.#tell(concerned);
    if (!isOnlyEntries) for (const bell of this.#bundleBells) bell.ring();
  }

  /** SVIDs by entry id, and the ids of entries that got none. */
  store(svids: ReadonlyMap<string, WorkloadSvid>, failed: Iterable<string>): void {
    const refused = [...failed];
    for (const id of refused) this.#failed.add(id);
    for (const [id, svid] of svids) {
      this.#failed.delete(id);
      const entry = this.#entries.get(id);
      if (entry !== undefined && isFor(svid, entry)) this.#svids.set(id, svid);
    }
    this.#tell([...svids.keys(), ...refused].flatMap((id) => [...(this.#concerned.get(id) ?? [])]));
  }

  /** Marks SVIDs to be signed anew: their authority is no longer trusted. */
  expire(isTainted: (svid: WorkloadSvid) => boolean): number {
    let count = 0;
    for (const [id, svid] of this.#svids) {
      if (!isTainted(svid)) continue;
      this.#svids.set(id, { ...svid, renewAt: 0 });
      count += 1;
    }
    return count;
  }

  /** Entries that need an SVID now; first those that somebody waits for. */
  stale(): AgentEntry[] {
    const now = this.#options.clock();
    const subscribed = this.#subscribedEntries();
    const ready = [...this.#entries.values()].filter((entry) => this.#isPrefetched(entry) && !subscribed.has(entry));
    const held = new Set(ready.slice(0, Math.max(0, this.#options.maxSize - subscribed.size)));
    for (const entry of ready) if (!held.has(entry)) this.#svids.delete(entry.id);
    return [...subscribed, ...held].filter((entry) => {
      const svid = this.#svids.get(entry.id);
      return svid === undefined || isOutdated(svid, entry, now);
    });
  }

  /** When the next SVID is to be renewed, epoch ms. */
  nextRenewal(): number {
    return Math.min(...[...this.#svids.values()].map(({ renewAt }) => renewAt));
  }

  matching(selectors: readonly Selector[]): readonly AgentEntry[] {
    return this.#index.matching(selectors);
  }

  update(selectors: readonly Selector[]): WorkloadUpdate {
    return this.#compose(this.matching(selectors));
  }

  #compose(entries: readonly AgentEntry[]): WorkloadUpdate {
    const now = this.#options.clock();
    const identities = entries.flatMap((entry) => {
      const svid = this.#svids.get(entry.id);
      return svid === undefined || svid.notAfter <= now ? [] : [{ entry, svid }];
    });
    const names = new Set(entries.flatMap(({ federatesWith }) => federatesWith.map(({ name }) => name)));
    const federatedBundles = [...names].sort().flatMap((name) => this.#federated.get(name) ?? []);
    return { identities, bundle: this.#bundle, federatedBundles };
  }

  async *subscribe(
    selectors: readonly Selector[],
    signal: AbortSignal,
  ): AsyncGenerator<WorkloadUpdate, never, undefined> {
    const subscriber: Subscriber = { bell: createBell() };
    const group = this.#join(selectors, subscriber);
    try {
      for (;;) {
        const update = this.#updateOf(group);
        const missing = this.#missing(group, update);
        // An entry that the server would not sign for is tried again with the next sync, not in a circle.
        if (missing.some(({ id }) => !this.#failed.has(id))) this.wanted.ring();
        else if ((missing.length === 0 || update.identities.length > 0) && update !== subscriber.taken) {
          yield (subscriber.taken = update);
          subscriber.drained = update; // whoever comes for the next has written this one
          continue;
        }
        await subscriber.bell.wait(signal);
      }
    } finally {
      group.members.delete(subscriber);
      if (group.members.size === 0) this.#leave(group);
    }
  }

  async *subscribeBundles(signal: AbortSignal): AsyncGenerator<readonly TrustBundle[], never, undefined> {
    const bell = createBell();
    this.#bundleBells.add(bell);
    try {
      let sent: readonly TrustBundle[] | undefined;
      for (;;) {
        const bundles = [this.#bundle, ...this.#federated.values()];
        if (sent === undefined || !isSameList(sent, bundles)) yield (sent = bundles);
        await bell.wait(signal);
      }
    } finally {
      this.#bundleBells.delete(bell);
    }
  }

  streams(): StreamCount {
    let [open, lagging] = [0, 0];
    for (const group of this.#groups.values()) {
      open += group.members.size;
      const update = this.#updateOf(group);
      for (const { taken, drained } of group.members) if (taken !== undefined && drained !== update) lagging += 1;
    }
    return { open, lagging };
  }

  #join(selectors: readonly Selector[], subscriber: Subscriber): Group {
    const key = keyOf(selectors);
    const group = this.#groups.get(key) ?? { selectors, members: new Set() };
    group.members.add(subscriber);
    this.#groups.set(key, group);
    return group;
  }

  #leave(group: Group): void {
    this.#groups.delete(keyOf(group.selectors));
    this.#forgetMatches(group);
  }

  #matchesOf(group: Group): readonly AgentEntry[] {
    if (group.matched !== undefined) return group.matched;
    group.matched = this.matching(group.selectors);
    for (const { id } of group.matched) {
      const concerned = this.#concerned.get(id) ?? new Set();
      this.#concerned.set(id, concerned.add(group));
    }
    return group.matched;
  }

  #forgetMatches(group: Group): void {
    for (const { id } of group.matched ?? []) {
      const concerned = this.#concerned.get(id);
      concerned?.delete(group);
      if (concerned?.size === 0) this.#concerned.delete(id);
    }
    group.matched = undefined;
  }

  /** The same object for as long as nothing in it changes. */
  #updateOf(group: Group): WorkloadUpdate {
    const update = this.#compose(this.#matchesOf(group));
    if (group.update === undefined || !isSameUpdate(group.update, update)) group.update = update;
    return group.update;
  }

  /** Those that had one of the changed entries, and those that match one now. */
  #groupsOf(changed: readonly ChangedEntry[]): Group[] {
    const had = changed.flatMap(({ id }) => [...(this.#concerned.get(id) ?? [])]);
    const index = createEntryIndex(changed.flatMap(({ entry }) => entry ?? []));
    const match = [...this.#groups.values()].filter(({ selectors }) => index.matching(selectors).length > 0);
    return [...new Set([...had, ...match])];
  }

  #missing(group: Group, { identities }: WorkloadUpdate): AgentEntry[] {
    const held = new Set(identities.map(({ entry }) => entry.id));
    return this.#matchesOf(group).filter(({ id }) => !held.has(id));
  }

  #isPrefetched(entry: AgentEntry): boolean {
    return !entry.storeSvid && !entry.disableX509SvidPrefetch;
  }

  #subscribedEntries(): Set<AgentEntry> {
    const found = new Set<AgentEntry>();
    for (const group of this.#groups.values()) for (const entry of this.#matchesOf(group)) found.add(entry);
    return found;
  }

  #tell(groups: Iterable<Group>): void {
    for (const { members } of new Set(groups)) for (const { bell } of members) bell.ring();
    this.changed.ring();
  }
}

interface ChangedEntry {
  readonly id: string;
  /** Undefined where it is gone. */
  readonly entry: AgentEntry | undefined;
}

/** An object that is the same as before means: unchanged. */
function changedEntries(before: ReadonlyMap<string, AgentEntry>, now: ReadonlyMap<string, AgentEntry>): ChangedEntry[] {
  const changed: ChangedEntry[] = [];
  for (const [id, entry] of now) if (before.get(id) !== entry) changed.push({ id, entry });
  for (const id of before.keys()) if (!now.has(id)) changed.push({ id, entry: undefined });
  return changed;
}

function sameValues<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

function keyOf(selectors: readonly Selector[]): string {
  return selectors.map(formatSelector).sort().join('\0');
}

function isSameUpdate(a: WorkloadUpdate, b: WorkloadUpdate): boolean {
  return (
    a.bundle === b.bundle &&
    a.identities.length === b.identities.length &&
    a.identities.every(({ entry, svid }, i) => entry === b.identities[i]?.entry && svid === b.identities[i].svid) &&
    isSameList(a.federatedBundles, b.federatedBundles)
  );
}

function isSameList(a: readonly TrustBundle[], b: readonly TrustBundle[]): boolean {
  return a.length === b.length && a.every((bundle, i) => bundle === b[i]);
}

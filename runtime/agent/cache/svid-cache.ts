// What the agent may hand to workloads: entries, bundles and X.509-SVIDs, and who is to be told when any of it changes. No I/O: the sync fills it.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { AgentEntry } from '../sync/entry.ts';
import { createBell } from './bell.ts';
import type { Bell } from './bell.ts';
import { changedEntries } from './changed-entries.ts';
import { createEntryIndex } from './entry-index.ts';
import { SubscriberGroups } from './subscriber-groups.ts';
import type { Group, StreamCount, Subscriber } from './subscriber-groups.ts';
import { isFor, isOutdated } from './workload-svid.ts';
import type { WorkloadSvid } from './workload-svid.ts';
import { isSameList } from './workload-update.ts';
import type { WorkloadUpdate } from './workload-update.ts';

export type { WorkloadIdentity, WorkloadUpdate } from './workload-update.ts';

export interface SvidCacheOptions {
  /** SVIDs that are kept ready although nobody asks; those with a subscriber come on top. */
  readonly maxSize: number;
  readonly bundle: TrustBundle;
  readonly clock: () => number;
}

/** The reading side. */
export interface WorkloadCache {
  matching(selectors: readonly Selector[]): readonly AgentEntry[];
  update(selectors: readonly Selector[]): WorkloadUpdate;
  /** The first as soon as every matching entry that the server signs for has its SVID, then one for each change; without SVIDs that have ended. */
  subscribe(selectors: readonly Selector[], signal: AbortSignal): AsyncGenerator<WorkloadUpdate, never, undefined>;
  /** The trust domain's bundle and every federated one that is here: at once, and again whenever one of them changes, comes or goes. */
  subscribeBundles(signal: AbortSignal): AsyncGenerator<readonly TrustBundle[], never, undefined>;
}

export class SvidCache implements WorkloadCache {
  readonly #options: SvidCacheOptions;
  readonly #svids = new Map<string, WorkloadSvid>();
  readonly #failed = new Set<string>();
  readonly #bundleBells = new Set<Bell>();
  readonly #groups: SubscriberGroups;
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
    this.#groups = new SubscriberGroups({
      matching: (selectors) => this.matching(selectors),
      compose: (entries) => this.#compose(entries),
    });
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
    const concerned = isOnlyEntries ? this.#groups.concernedBy(changed) : this.#groups.all();
    if (changed.length > 0) this.#index = createEntryIndex([...entries.values()].filter(({ storeSvid }) => !storeSvid));
    for (const [id, svid] of this.#svids) {
      const entry = entries.get(id);
      if (entry === undefined || !isFor(svid, entry)) this.#svids.delete(id);
    }
    for (const id of this.#failed) if (!entries.has(id)) this.#failed.delete(id);
    this.#groups.forgetMatches(concerned);
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
    this.#tell(this.#groups.having([...svids.keys(), ...refused]));
  }

  /** What has ended leaves the streams that have it, be the server away or not. */
  withdrawEnded(): void {
    const now = this.#options.clock();
    const ended = [...this.#svids].filter(([, { notAfter }]) => notAfter <= now).map(([id]) => id);
    if (ended.length === 0) return;
    for (const id of ended) this.#svids.delete(id);
    this.#tell(this.#groups.having(ended));
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

  /** Entries that need an SVID now; first those that somebody waits for. What nobody waits for and is too much is no longer held. */
  stale(): AgentEntry[] {
    const subscribed = this.#groups.entries();
    const ready = [...this.#entries.values()].filter((entry) => isPrefetched(entry) && !subscribed.has(entry));
    const held = new Set(ready.slice(0, Math.max(0, this.#options.maxSize - subscribed.size)));
    for (const entry of ready) if (!held.has(entry)) this.#svids.delete(entry.id);
    return this.#due([...subscribed, ...held]);
  }

  /** Of those that somebody waits for alone. */
  staleForSubscribers(): AgentEntry[] {
    return this.#due([...this.#groups.entries()]);
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

  async *subscribe(
    selectors: readonly Selector[],
    signal: AbortSignal,
  ): AsyncGenerator<WorkloadUpdate, never, undefined> {
    const subscriber: Subscriber = { bell: createBell() };
    const group = this.#groups.join(selectors, subscriber);
    try {
      for (;;) {
        const update = this.#groups.updateOf(group);
        const missing = this.#groups.missing(group, update);
        // An entry that the server would not sign for is tried again with the next sync, not in a circle.
        const isSettled = missing.every(({ id }) => this.#failed.has(id));
        if (!isSettled) this.wanted.ring();
        const isWhole = isSettled && (missing.length === 0 || update.identities.length > 0);
        if ((isWhole || this.#hasEnded(subscriber.taken, missing)) && update !== subscriber.taken) {
          yield (subscriber.taken = update);
          subscriber.drained = update; // whoever comes for the next has written this one
          continue;
        }
        await subscriber.bell.wait(signal);
      }
    } finally {
      this.#groups.leave(group, subscriber);
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
    return this.#groups.streams();
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

  /** Whether a stream was given an SVID that has ended, and there is no other in its place. */
  #hasEnded(taken: WorkloadUpdate | undefined, missing: readonly AgentEntry[]): boolean {
    const now = this.#options.clock();
    return (
      taken?.identities.some(({ entry, svid }) => svid.notAfter <= now && missing.some(({ id }) => id === entry.id)) ===
      true
    );
  }

  #due(entries: readonly AgentEntry[]): AgentEntry[] {
    const now = this.#options.clock();
    return entries.filter((entry) => {
      const svid = this.#svids.get(entry.id);
      return svid === undefined || isOutdated(svid, entry, now);
    });
  }

  #tell(groups: Iterable<Group>): void {
    this.#groups.tell(groups);
    this.changed.ring();
  }
}

function isPrefetched(entry: AgentEntry): boolean {
  return !entry.storeSvid && !entry.disableX509SvidPrefetch;
}

function sameValues<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

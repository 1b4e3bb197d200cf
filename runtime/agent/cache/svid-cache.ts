// What the agent may hand to workloads: entries, bundles and X.509-SVIDs, and who is to be told when any of it changes. No I/O: the sync fills it.
import type { TrustBundle } from '../../spiffe/bundle.ts';
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
  readonly selectors: readonly Selector[];
  readonly bell: Bell;
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
  readonly #subscribers = new Set<Subscriber>();
  readonly #bundleBells = new Set<Bell>();
  #entries: ReadonlyMap<string, AgentEntry> = new Map();
  #index = createEntryIndex([]);
  #bundle: TrustBundle;
  #federated: ReadonlyMap<string, TrustBundle> = new Map();
  #replacedAt: number | undefined;
  /** Rings when somebody waits for an SVID that is not there. */
  readonly wanted = createBell();

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

  /** Entries and bundles as the server has them now. An object that is the same as before means: unchanged. */
  replace(
    entries: ReadonlyMap<string, AgentEntry>,
    bundle: TrustBundle,
    federated: ReadonlyMap<string, TrustBundle>,
  ): void {
    this.#entries = entries;
    this.#bundle = bundle;
    this.#federated = federated;
    this.#replacedAt = this.#options.clock();
    this.#index = createEntryIndex([...entries.values()].filter(({ storeSvid }) => !storeSvid));
    for (const [id, svid] of this.#svids) {
      const entry = entries.get(id);
      if (entry === undefined || !isFor(svid, entry)) this.#svids.delete(id);
    }
    for (const id of this.#failed) if (!entries.has(id)) this.#failed.delete(id);
    this.#tellAll();
    for (const bell of this.#bundleBells) bell.ring();
  }

  /** SVIDs by entry id, and the ids of entries that got none. */
  store(svids: ReadonlyMap<string, WorkloadSvid>, failed: Iterable<string>): void {
    for (const id of failed) this.#failed.add(id);
    for (const [id, svid] of svids) {
      this.#failed.delete(id);
      const entry = this.#entries.get(id);
      if (entry !== undefined && isFor(svid, entry)) this.#svids.set(id, svid);
    }
    this.#tellAll();
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
    const entries = this.matching(selectors);
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
    const subscriber: Subscriber = { selectors, bell: createBell() };
    this.#subscribers.add(subscriber);
    try {
      let sent: WorkloadUpdate | undefined;
      for (;;) {
        const update = this.update(selectors);
        const missing = this.#missing(selectors, update);
        // An entry that the server would not sign for is tried again with the next sync, not in a circle.
        if (missing.some(({ id }) => !this.#failed.has(id))) this.wanted.ring();
        else if (missing.length === 0 || update.identities.length > 0) {
          if (sent === undefined || !isSameUpdate(sent, update)) yield (sent = update);
        }
        await subscriber.bell.wait(signal);
      }
    } finally {
      this.#subscribers.delete(subscriber);
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

  #missing(selectors: readonly Selector[], { identities }: WorkloadUpdate): AgentEntry[] {
    const held = new Set(identities.map(({ entry }) => entry.id));
    return this.matching(selectors).filter(({ id }) => !held.has(id));
  }

  #isPrefetched(entry: AgentEntry): boolean {
    return !entry.storeSvid && !entry.disableX509SvidPrefetch;
  }

  #subscribedEntries(): Set<AgentEntry> {
    const found = new Set<AgentEntry>();
    for (const { selectors } of this.#subscribers) for (const entry of this.matching(selectors)) found.add(entry);
    return found;
  }

  #tellAll(): void {
    for (const { bell } of this.#subscribers) bell.ring();
  }
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

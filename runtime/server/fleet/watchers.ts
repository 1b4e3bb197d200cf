// Who watches this server, and what each is told: that its revision is another one now, no more. Watchers that a change concerns are rung a few at
// a time, so that neither the server nor the calls that they answer with come all at once.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { WatchResponse } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { createBell } from '../../rpc/bell.ts';
import type { Bell } from '../../rpc/bell.ts';
import type { RpcError } from '../../rpc/status.ts';
import { resourceExhausted, unavailable } from '../../rpc/status.ts';
import { formatSelector } from '../../spiffe/selector.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { AuthorizedEntries, CacheChange } from '../store/authorized-entries.ts';
import type { EntryRecord } from '../store/records.ts';
import { concernedBy } from './concerned.ts';
import type { FederatedRevisions } from './federated-bundles.ts';
import { bundleRevision, entriesRevision, formatRevision, joinRevisions, parseRevision } from './revision.ts';
import type { Revision } from './revision.ts';
import { isAgent, refusalOf } from './standing.ts';
import type { WatchingSvid } from './standing.ts';

export interface Watchers {
  /** Messages for one caller whose call was let in, until it gives up or may no longer watch (throws the refusal). */
  watch(svid: WatchingSvid, revision: string, signal: AbortSignal): AsyncGenerator<WatchResponse, never, undefined>;
  readonly count: () => number;
  /** Ends every watch: a server that stops does not wait for its callers to go. */
  close(): void;
}

export interface WatchersOptions {
  readonly cache: Pick<AuthorizedEntries, 'agent' | 'authorizedEntries' | 'entriesFor' | 'isDownstream' | 'onChange'>;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'onBundle'>;
  readonly federated: Pick<FederatedRevisions, 'of' | 'onChange'>;
  /** Asks the store, which may be ahead of the cache; throws the refusal. */
  readonly confirmAgent: (svid: WatchingSvid) => Promise<void>;
  readonly clock: () => number;
  readonly limits?: Partial<WatchLimits>;
}

export interface WatchLimits {
  readonly total: number;
  /** An agent has two while it renews its SVID; the downstream servers of one pool share an ID. */
  readonly perId: number;
}

interface Watcher {
  readonly svid: WatchingSvid;
  readonly id: string;
  readonly bell: Bell;
  refusal: RpcError | undefined;
}

const defaultLimits: WatchLimits = { total: 20_000, perId: 32 };
/** Between two messages to one caller. */
const spacingMs = 50;
/** 5,000 a second. */
const rungAtOnce = { count: 50, everyMs: 10 };
/** The clock may be set, and a timer takes no more than 24 days. */
const longestWaitMs = 60_000;

export function createWatchers(options: WatchersOptions): Watchers {
  const { cache, authority, federated, confirmAgent, clock } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const byId = new Map<string, Set<Watcher>>();
  let [total, isClosed] = [0, false];

  const revisionOf = ({ svid, id }: Watcher): Revision => {
    const own = bundleRevision(authority.bundle());
    if (!isAgent(svid)) return { entries: '', bundles: own };
    const entries = cache.authorizedEntries(id);
    const others = federatedWith(entries).map(federated.of);
    return { entries: entriesRevision(entries), bundles: joinRevisions([own, ...others]) };
  };

  const add = (svid: WatchingSvid): Watcher => {
    const id = String(svid.id);
    const held = byId.get(id) ?? new Set();
    if (total >= limits.total) throw resourceExhausted(`there are ${total} watchers already`);
    if (held.size >= limits.perId) throw resourceExhausted(`there are ${held.size} watchers of ${id} already`);
    const watcher: Watcher = { svid, id, bell: createBell(), refusal: undefined };
    byId.set(id, held.add(watcher));
    total += 1;
    return watcher;
  };
  const remove = (watcher: Watcher): void => {
    const held = byId.get(watcher.id);
    held?.delete(watcher);
    if (held?.size === 0) byId.delete(watcher.id);
    total -= 1;
  };

  /** Whoever may not watch any more is told at once. */
  const judge = (id: string): void => {
    for (const watcher of byId.get(id) ?? []) {
      const refusal = refusalOf(watcher.svid, cache, clock());
      if (refusal !== undefined) end(watcher, refusal);
    }
  };

  const ring = async (ids: readonly string[]): Promise<void> => {
    for (let start = 0; start < ids.length && !isClosed; start += rungAtOnce.count) {
      if (start > 0) await sleep(rungAtOnce.everyMs);
      for (const id of ids.slice(start, start + rungAtOnce.count))
        for (const { bell } of byId.get(id) ?? []) bell.ring();
    }
  };
  const ringAll = (): void => void ring([...byId.keys()]);

  const onCacheChange = ({ all, entries, agents }: CacheChange): void => {
    for (const id of all ? byId.keys() : agents) judge(id);
    for (const { spiffeId, downstream } of entries) if (downstream) judge(spiffeId);
    if (all) return ringAll();
    const { ids, aliases } = concernedBy(entries, cache.entriesFor);
    const concerned = [...ids, ...agents].filter((id) => byId.has(id));
    void ring([...new Set([...concerned, ...fulfilling(aliases)])]);
  };

  /** Watching agents that have all selectors of one of the aliases. */
  const fulfilling = (aliases: readonly (readonly string[])[]): string[] => {
    if (aliases.length === 0) return [];
    return [...byId.keys()].filter((id) => {
      const have = new Set(cache.agent(id)?.selectors.map(formatSelector));
      return aliases.some((selectors) => selectors.every((text) => have.has(text)));
    });
  };

  const stops = [cache.onChange(onCacheChange), authority.onBundle(ringAll)];
  federated.onChange(ringAll);

  /** When the SVID ends or one of the entries does: nobody tells of either. Epoch ms. */
  const nextEnd = ({ svid, id }: Watcher): number => {
    const entries = isAgent(svid) ? cache.authorizedEntries(id) : [...cache.entriesFor(id)];
    const ends = entries.flatMap(({ expiresAt }) => (expiresAt > 0 ? [expiresAt * 1000] : []));
    return ends.filter((end) => end > clock()).reduce((first, end) => Math.min(first, end), svid.leaf.notAfter + 1);
  };

  return {
    async *watch(svid, revision, signal) {
      const watcher = add(svid);
      try {
        await checkAtFirst(svid);
        let told = parseRevision(revision);
        for (let isFirst = true; ; isFirst = false) {
          watcher.refusal ??= expiryOf(watcher);
          if (watcher.refusal !== undefined) throw watcher.refusal;
          const [now, end] = [revisionOf(watcher), nextEnd(watcher)];
          const entriesChanged = now.entries !== told.entries;
          const bundlesChanged = now.bundles !== told.bundles;
          if (isFirst || entriesChanged || bundlesChanged) {
            yield { revision: formatRevision(now), entriesChanged, bundlesChanged };
            told = now;
            await sleep(spacingMs, undefined, { signal });
          }
          await watcher.bell.wait(signal, Math.min(longestWaitMs, Math.max(1, end - clock())));
          await nextTurn(); // many that were rung together do not hold up everybody else
        }
      } finally {
        remove(watcher);
      }
    },
    count: () => total,
    close() {
      isClosed = true;
      for (const stop of stops) stop();
      for (const held of byId.values()) for (const watcher of held) end(watcher, unavailable('server is stopping'));
    },
  };

  /** The call was let in a moment ago; whatever happened since must not be missed. */
  async function checkAtFirst(svid: WatchingSvid): Promise<void> {
    const refusal = refusalOf(svid, cache, clock());
    if (refusal === undefined) return;
    if (!isAgent(svid)) throw refusal;
    await confirmAgent(svid);
  }

  function expiryOf({ svid }: Watcher): RpcError | undefined {
    if (isAgent(svid) && clock() <= svid.leaf.notAfter) return undefined; // the record is judged when it changes
    return refusalOf(svid, cache, clock());
  }
}

function end(watcher: Watcher, refusal: RpcError): void {
  watcher.refusal = refusal;
  watcher.bell.ring();
}

const names = new WeakMap<readonly EntryRecord[], readonly string[]>();

function federatedWith(entries: readonly EntryRecord[]): readonly string[] {
  const known = names.get(entries);
  if (known !== undefined) return known;
  const found = [...new Set(entries.flatMap(({ federatesWith }) => federatesWith))].sort();
  names.set(entries, found);
  return found;
}

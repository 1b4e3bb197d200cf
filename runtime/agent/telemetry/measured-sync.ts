// What the agent asks of its server, counted: entries, SVIDs, its own identity. And how often the server could not be reached.
import { statusCode } from '../../rpc/status.ts';
import { createCallCounter, rpcCodeOf } from '../../telemetry/call-counter.ts';
import type { CodeOf } from '../../telemetry/call-counter.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { JwtSvids } from '../cache/jwt-svids.ts';
import type { SvidCache } from '../cache/svid-cache.ts';
import type { AgentIdentity } from '../node/identity.ts';
import type { KeyStore } from '../state/key-store.ts';
import type { Entries, EntryFetcher } from '../sync/fetch-entries.ts';
import type { SvidSigner } from '../sync/sign-svids.ts';

const unreachable: ReadonlySet<number> = new Set([statusCode.UNAVAILABLE, statusCode.DEADLINE_EXCEEDED]);

/** Status of a call to the server; one that did not reach it is counted. */
function countUnreachable(metrics: Metrics): CodeOf {
  const errors = metrics.counter(['server', 'connection_errors', 'total']);
  return (error) => {
    const code = rpcCodeOf(error);
    if (unreachable.has(code)) errors.add();
    return code;
  };
}

export function measureFetcher(fetcher: EntryFetcher, metrics: Metrics): EntryFetcher {
  const calls = createCallCounter(metrics, ['manager', 'sync', 'fetch_entries_updates'], {}, countUnreachable(metrics));
  const added = metrics.counter(['lru_cache_entry_add']);
  const updated = metrics.counter(['lru_cache_entry_update']);
  const removed = metrics.counter(['lru_cache_entry_remove']);
  const gauges = ['total', 'missing', 'stale', 'dropped'].map((name) => metrics.gauge([`sync_entries_${name}`]));
  return {
    async fetch(known, signal) {
      const entries = await calls.measure(() => fetcher.fetch(known, signal));
      const { missing, stale, dropped } = compare(known, entries);
      added.add(missing);
      updated.add(stale);
      removed.add(dropped);
      for (const [i, value] of [entries.size, missing, stale, dropped].entries()) gauges[i]?.set(value);
      return entries;
    },
  };
}

/** An entry that did not change is the same object as before. */
function compare(known: Entries, entries: Entries): { missing: number; stale: number; dropped: number } {
  let [missing, stale] = [0, 0];
  for (const [id, entry] of entries) {
    const before = known.get(id);
    if (before === undefined) missing += 1;
    else if (before !== entry) stale += 1;
  }
  return { missing, stale, dropped: known.size - (entries.size - missing) };
}

export interface MeasureSignerOptions {
  readonly metrics: Metrics;
  readonly cache: Pick<SvidCache, 'held'>;
  readonly clock: () => number;
}

/** Of what is signed anew, it also counts what was about to expire and what its entry had outrun. */
export function measureSigner(signer: SvidSigner, { metrics, cache, clock }: MeasureSignerOptions): SvidSigner {
  const calls = createCallCounter(metrics, ['manager', 'sync', 'fetch_svids_updates'], {}, countUnreachable(metrics));
  const expiring = metrics.sample(['cache_manager', 'expiring_svids']);
  const outdated = metrics.sample(['cache_manager', 'outdated_svids']);
  return {
    async signSome(entries, signal) {
      const now = clock();
      const due = new Map(entries.map(({ id }) => [id, cache.held(id)] as const));
      const signed = await calls.measure(() => signer.signSome(entries, signal));
      const held = [...signed.svids.keys(), ...signed.failed].flatMap((id) => due.get(id) ?? []);
      const expired = held.filter(({ renewAt }) => now >= renewAt).length;
      if (expired > 0) expiring.observe(expired);
      if (held.length > expired) outdated.observe(held.length - expired);
      return signed;
    },
  };
}

export function measureJwtSvids(jwtSvids: JwtSvids, metrics: Metrics): JwtSvids {
  const codeOf = countUnreachable(metrics);
  const size = metrics.gauge(['jwt_svid_cache_size']);
  metrics.onRead(() => size.set(jwtSvids.count()));
  return {
    ...jwtSvids,
    async fetch(entry, audience, signal) {
      try {
        return await jwtSvids.fetch(entry, audience, signal);
      } catch (error) {
        codeOf(error);
        throw error;
      }
    },
  };
}

export function measureIdentity(identity: AgentIdentity, metrics: Metrics): AgentIdentity {
  const codeOf = countUnreachable(metrics);
  const rotating = createCallCounter(metrics, ['agent_svid', 'rotate'], {}, codeOf);
  const reattesting = createCallCounter(metrics, ['node', 'attest'], {}, codeOf);
  return {
    ...identity,
    async establish(signal) {
      try {
        await identity.establish(signal);
      } catch (error) {
        codeOf(error);
        throw error;
      }
    },
    renew: (link, signal) => rotating.measure(() => identity.renew(link, signal)),
    reattest: (signal) => reattesting.measure(() => identity.reattest(signal)),
  };
}

export function measureKeys(keys: KeyStore, metrics: Metrics): KeyStore {
  const generating = createCallCounter(metrics, ['agent_key_manager', 'generate_key']);
  const listing = createCallCounter(metrics, ['agent_key_manager', 'get_keys']);
  return {
    wasExposed: keys.wasExposed,
    generateBeside: (current) => generating.measure(() => keys.generateBeside(current)),
    keys() {
      const startedAt = metrics.now();
      const all = keys.keys();
      listing.done(startedAt, statusCode.OK);
      return all;
    },
  };
}

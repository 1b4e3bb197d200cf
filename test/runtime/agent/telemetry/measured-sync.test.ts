import { describe, expect, it } from 'vitest';
import type { WorkloadSvid } from '../../../../runtime/agent/cache/workload-svid.ts';
import type { AgentEntry } from '../../../../runtime/agent/sync/entry.ts';
import type { Entries } from '../../../../runtime/agent/sync/fetch-entries.ts';
import { measureFetcher, measureSigner } from '../../../../runtime/agent/telemetry/measured-sync.ts';
import { deadlineExceeded, permissionDenied, unavailable } from '../../../../runtime/rpc/status.ts';
import { expose } from '../../../../runtime/telemetry/exposition.ts';
import { createRegistry } from '../../../../runtime/telemetry/registry.ts';
import { parseScrape } from '../../../support/metrics.ts';

const signal = new AbortController().signal;

function create() {
  const metrics = createRegistry({ prefix: 'a', now: () => 0 });
  const value = (name: string) => parseScrape(expose(metrics)).values.get(`a_${name}`);
  return { metrics, value };
}

const entries = (...ids: string[]): Entries => new Map(ids.map((id) => [id, { id } as AgentEntry]));

describe('a measured fetcher', () => {
  it('tells how many entries came, changed and went', async () => {
    const { metrics, value } = create();
    const known = entries('same', 'changed', 'gone', 'gone-too');
    const now = new Map([...entries('changed', 'new'), ['same', known.get('same')!] as const]);
    await measureFetcher({ fetch: () => Promise.resolve(now) }, metrics).fetch(known, signal);
    expect(['total', 'missing', 'stale', 'dropped'].map((name) => value(`sync_entries_${name}`))).toEqual([3, 1, 1, 2]);
    expect(['add', 'update', 'remove'].map((name) => value(`lru_cache_entry_${name}`))).toEqual([1, 1, 2]);
  });

  it.for([
    [unavailable('away'), 1],
    [deadlineExceeded('slow'), 1],
    [permissionDenied('evicted'), 0],
    [new Error('bug'), 0],
  ] as const)('counts %s as %i connection errors', async ([error, count]) => {
    const { metrics, value } = create();
    await expect(measureFetcher({ fetch: () => Promise.reject(error) }, metrics).fetch(new Map(), signal)).rejects.toBe(
      error,
    );
    expect(value('server_connection_errors_total')).toBe(count);
  });
});

describe('a measured signer', () => {
  it('tells apart what was about to expire, what its entry had outrun, and what is new', async () => {
    const { metrics, value } = create();
    const held: Record<string, Pick<WorkloadSvid, 'renewAt'>> = {
      due: { renewAt: 10 },
      changed: { renewAt: 20 },
      refused: { renewAt: 1 },
    };
    const signer = measureSigner(
      {
        signSome: () =>
          Promise.resolve({
            svids: new Map(['due', 'changed', 'new'].map((id) => [id, {} as WorkloadSvid])),
            failed: ['refused'],
          }),
      },
      { metrics, cache: { held: (id) => held[id] as WorkloadSvid | undefined }, clock: () => 15 },
    );
    await signer.signSome([...entries('due', 'changed', 'new', 'refused').values()], signal);
    expect(value('cache_manager_expiring_svids_sum')).toBe(2);
    expect(value('cache_manager_outdated_svids_sum')).toBe(1);
    expect(value('manager_sync_fetch_svids_updates{status="OK"}')).toBe(1);
  });
});

// In which order SVIDs are signed where there are more than one batch of them.
import { expect, it } from 'vitest';
import { SvidCache } from '../../../runtime/agent/cache/svid-cache.ts';
import type { AgentEntry } from '../../../runtime/agent/sync/entry.ts';
import { Synchronizer } from '../../../runtime/agent/sync/synchronizer.ts';
import type { SynchronizerOptions } from '../../../runtime/agent/sync/synchronizer.ts';
import { createLog } from '../../../runtime/log.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSelector } from '../../../runtime/spiffe/selector.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';

const trustDomain = parseTrustDomain('example.org');

function entryOf(id: string): AgentEntry {
  return {
    id,
    spiffeId: createSpiffeId(trustDomain, `/${id}`),
    selectors: [parseSelector(`unix:user:${id}`)],
    federatesWith: [],
    revisionNumber: 0,
    createdAt: 1,
    hint: '',
    storeSvid: false,
    disableX509SvidPrefetch: false,
    jwtSvidIncludeJti: false,
    admin: false,
    downstream: false,
  };
}

it('a workload that comes during a turn is signed for in the next batch, and nobody twice', async () => {
  const entries = ['a', 'b', 'c', 'd', 'e'].map(entryOf);
  const bundle = emptyBundle(trustDomain);
  const cache = new SvidCache({ maxSize: 100, bundle, clock: () => 0 });
  cache.replace(new Map(entries.map((entry) => [entry.id, entry])), bundle, new Map());
  const stop = new AbortController();
  const batches: string[][] = [];
  const signer: SynchronizerOptions['signer'] = {
    signSome(wanted) {
      const batch = wanted.slice(0, 2);
      batches.push(batch.map(({ id }) => id));
      if (batches.length === 1)
        cache
          .subscribe([parseSelector('unix:user:e')], stop.signal)
          .next()
          .catch(() => undefined);
      const svids = batch.map(({ id, spiffeId, revisionNumber, createdAt }) => {
        const times = { notBefore: 0, notAfter: 9_000, renewAt: 0 }; // due again at once
        const svid = { spiffeId, revisionNumber, createdAt, chain: [], privateKey: new Uint8Array(), serialNumber: id };
        return [id, { ...svid, ...times }] as const;
      });
      return Promise.resolve({ svids: new Map(svids), failed: [] });
    },
  };
  const log = createLog({ level: 'error', format: 'text', write: () => undefined });
  await new Synchronizer({ cache, signer, log } as unknown as SynchronizerOptions).signStale(stop.signal);
  stop.abort(new Error('test is over'));
  expect(batches).toEqual([['a', 'b'], ['e', 'c'], ['d']]);
});

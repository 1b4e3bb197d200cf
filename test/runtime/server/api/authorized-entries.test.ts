import { describe, expect, test } from 'vitest';
import type {
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponse,
} from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { EntryMask } from '../../../../proto/gen/spire/api/types/entry.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { createAuthorizedEntriesService } from '../../../../runtime/server/api/authorized-entries-service.ts';
import { identifyCaller } from '../../../../runtime/server/api/caller.ts';
import type { CacheChange } from '../../../../runtime/server/store/authorized-entries.ts';
import type { EntryRecord } from '../../../../runtime/server/store/records.ts';
import { agentRecord, callOf, issueLeaf, remote } from './callers.ts';

const agentId = 'spiffe://example.org/spire/agent/x509pop/a';
const leaf = issueLeaf(agentId);
const context = callOf('/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries', remote(agentId, leaf));

function entriesOf(count: number): EntryRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `e${index}`,
    spiffeId: `spiffe://example.org/w${index}`,
    parentId: agentId,
    selectors: [{ type: 'unix', value: `uid:${index}` }],
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    expiresAt: 0,
    createdAt: 1000 + index,
    dnsNames: [],
    hint: 'h',
    revisionNumber: index,
  }));
}

function serviceOf(entries: readonly EntryRecord[]) {
  const cache = {
    agent: () => agentRecord(agentId, leaf),
    authorizedEntries: (id: string) => (id === agentId ? entries : []),
    onChange: () => () => undefined,
  };
  return createAuthorizedEntriesService({
    cache,
    callerOf: ({ connection }) => identifyCaller(connection),
    pageSize: 2,
  });
}

async function sync(
  entries: readonly EntryRecord[],
  requests: readonly Partial<SyncAuthorizedEntriesRequest>[],
): Promise<SyncAuthorizedEntriesResponse[]> {
  async function* send() {
    for (const request of requests) yield { outputMask: undefined, ids: [], ...request };
  }
  const responses: SyncAuthorizedEntriesResponse[] = [];
  for await (const response of serviceOf(entries).syncAuthorizedEntries!(send(), context)) responses.push(response);
  return responses;
}

/** What a response says, in short. */
const summary = ({ entryRevisions, entries, more }: SyncAuthorizedEntriesResponse) => ({
  revisions: entryRevisions.map(({ id }) => id),
  entries: entries.map(({ id }) => id),
  more,
});

describe('SyncAuthorizedEntries', () => {
  test('sends a page or less whole, and ends', async () => {
    expect((await sync(entriesOf(2), [{}, { ids: ['e0'] }])).map(summary)).toEqual([
      { revisions: [], entries: ['e0', 'e1'], more: false },
    ]);
    expect((await sync([], [{}])).map(summary)).toEqual([{ revisions: [], entries: [], more: false }]);
  });

  test('sends the revisions of more than a page', async () => {
    const responses = await sync(entriesOf(5), [{}]);
    expect(responses.map(summary)).toEqual([
      { revisions: ['e0', 'e1'], entries: [], more: true },
      { revisions: ['e2', 'e3'], entries: [], more: true },
      { revisions: ['e4'], entries: [], more: false },
    ]);
    expect(responses[2]?.entryRevisions).toEqual([{ id: 'e4', revisionNumber: 4, createdAt: 1004 }]);
  });

  test('then sends the entries that are asked for, in pages, each request by itself', async () => {
    const responses = await sync(entriesOf(5), [
      {},
      { ids: ['e4', 'e0', 'gone', 'e0', 'e1'] },
      { ids: ['gone'] },
      { ids: [] },
    ]);
    expect(responses.slice(3).map(summary)).toEqual([
      { revisions: [], entries: ['e4', 'e0'], more: true },
      { revisions: [], entries: ['e1'], more: false },
      { revisions: [], entries: [], more: false },
      { revisions: [], entries: [], more: false },
    ]);
  });

  test('keeps to the mask of the first request', async () => {
    const outputMask = EntryMask.create({ revisionNumber: true, hint: true });
    const [whole] = await sync(entriesOf(1), [{ outputMask }]);
    expect(whole?.entries[0]).toMatchObject({ id: 'e0', hint: 'h', spiffeId: undefined, selectors: [], createdAt: 0 });
    const responses = await sync(entriesOf(3), [
      { outputMask },
      { ids: ['e0'], outputMask: EntryMask.create({ spiffeId: true }) },
    ]);
    expect(responses.at(-1)?.entries[0]).toMatchObject({ hint: 'h', spiffeId: undefined });
  });

  test.each([
    [{ ids: ['e0'] }, 'specifying IDs on initial request is not supported'],
    [{ outputMask: EntryMask.create({ spiffeId: true }) }, 'revision number cannot be masked'],
  ])('refuses %j as the first request', async (request, message) => {
    await expect(sync(entriesOf(1), [request])).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT, message });
  });

  test('sends nothing to a caller that sends nothing', async () => {
    expect(await sync(entriesOf(5), [])).toEqual([]);
  });
});

test('GetAuthorizedEntries sends everything that the agent may serve', async () => {
  const { entries } = await serviceOf(entriesOf(5)).getAuthorizedEntries!(
    { outputMask: EntryMask.create({ hint: true }) },
    context,
  );
  expect(entries.map(({ id, hint, revisionNumber }) => [id, hint, revisionNumber])).toEqual(
    ['e0', 'e1', 'e2', 'e3', 'e4'].map((id) => [id, 'h', 0]),
  );
});

test('an agent that our cache does not know yet is waited for', async () => {
  const listeners = new Set<(change: CacheChange) => void>();
  let known = false;
  const cache = {
    agent: () => (known ? agentRecord(agentId, leaf) : undefined),
    authorizedEntries: () => (known ? entriesOf(1) : []),
    onChange: (listener: (change: CacheChange) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const service = createAuthorizedEntriesService({ cache, callerOf: ({ connection }) => identifyCaller(connection) });
  const answer = service.getAuthorizedEntries!({ outputMask: undefined }, context);
  await new Promise((resolve) => setTimeout(resolve, 20));
  known = true;
  for (const listener of listeners) listener({ all: false, entries: [], agents: new Set([agentId]) });
  expect((await answer).entries).toHaveLength(1);
  expect(listeners.size).toBe(0);
});

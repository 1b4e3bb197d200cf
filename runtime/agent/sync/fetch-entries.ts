// Brings the agent's copy of its entries up to date: only what changed (SyncAuthorizedEntries), or all of them where the server is too old for that.
import type {
  EntryRevision,
  EntryService,
  SyncAuthorizedEntriesRequest,
} from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { createQueue } from '../../rpc/queue.ts';
import type { Client } from '../../rpc/service.ts';
import { RpcError, statusCode } from '../../rpc/status.ts';
import { entryMask, parseEntry } from './entry.ts';
import type { AgentEntry } from './entry.ts';

export type Entries = ReadonlyMap<string, AgentEntry>;

export interface EntryFetcher {
  /** Entries that did not change are the same objects as in `known`. */
  fetch(known: Entries, signal: AbortSignal): Promise<Entries>;
}

export interface EntryFetcherOptions {
  readonly client: () => Client<typeof EntryService>;
  /** False: all entries each time. */
  readonly useSync: boolean;
  readonly onMalformed: (entryId: string, error: unknown) => void;
}

const callMs = 30_000;

export function createEntryFetcher({ client, useSync, onMalformed }: EntryFetcherOptions): EntryFetcher {
  let canSync = useSync;
  const merge = (entries: readonly Entry[], known: Entries): Entries => mergeEntries(entries, known, onMalformed);

  const fetchAll = async (known: Entries, signal: AbortSignal): Promise<Entries> => {
    const { entries } = await client().getAuthorizedEntries({ outputMask: entryMask }, { signal, deadlineMs: callMs });
    return merge(entries, known);
  };

  return {
    async fetch(known, signal) {
      if (!canSync) return fetchAll(known, signal);
      try {
        return await syncEntries(client(), known, signal, merge);
      } catch (error) {
        if (!(error instanceof RpcError) || error.code !== statusCode.UNIMPLEMENTED) throw error;
        canSync = false;
        return fetchAll(known, signal);
      }
    },
  };
}

/** The server lists revisions; the agent asks for the entries that it lacks; a server with few entries sends them at once. */
async function syncEntries(
  client: Client<typeof EntryService>,
  known: Entries,
  signal: AbortSignal,
  merge: (entries: readonly Entry[], known: Entries) => Entries,
): Promise<Entries> {
  const requests = createQueue<SyncAuthorizedEntriesRequest>();
  const responses = client.syncAuthorizedEntries(requests, { signal, deadlineMs: callMs })[Symbol.asyncIterator]();
  const next = async () => {
    const result = await responses.next();
    if (result.done === true) throw new Error('server ended the entry sync early');
    return result.value;
  };
  try {
    requests.push({ outputMask: entryMask, ids: [] });
    const first = await next();
    if (first.entryRevisions.length === 0) return merge(first.entries, known);

    const revisions = [...first.entryRevisions];
    for (let more = first.more; more;) {
      const page = await next();
      if (page.entries.length > 0) throw new Error('server sent entries among the revisions');
      revisions.push(...page.entryRevisions);
      more = page.more;
    }

    const missing = revisions
      .filter((revision) => isMissing(revision, known))
      .map(({ id }) => id)
      .sort();
    const entries: Entry[] = [];
    const pageSize = first.entryRevisions.length;
    for (let i = 0; i < missing.length; i += pageSize) {
      requests.push({ outputMask: undefined, ids: missing.slice(i, i + pageSize) });
      for (let more = true; more;) {
        const page = await next();
        entries.push(...page.entries);
        more = page.more;
      }
    }
    const fetched = merge(entries, known);
    return new Map(
      revisions.flatMap(({ id }) => {
        const entry = fetched.get(id) ?? known.get(id);
        return entry === undefined ? [] : [[id, entry] as const];
      }),
    );
  } finally {
    requests.end();
    await responses.return?.();
  }
}

function isMissing({ id, revisionNumber, createdAt }: EntryRevision, known: Entries): boolean {
  const entry = known.get(id);
  if (entry?.revisionNumber !== revisionNumber) return true;
  return createdAt !== 0 && entry.createdAt !== createdAt; // older servers do not say when
}

function mergeEntries(
  entries: readonly Entry[],
  known: Entries,
  onMalformed: EntryFetcherOptions['onMalformed'],
): Entries {
  const merged = new Map<string, AgentEntry>();
  for (const entry of entries) {
    try {
      const parsed = parseEntry(entry);
      const before = known.get(parsed.id);
      const unchanged = before?.revisionNumber === parsed.revisionNumber && before.createdAt === parsed.createdAt;
      merged.set(parsed.id, unchanged ? before : parsed);
    } catch (error) {
      onMalformed(entry.id, error); // one bad entry must not keep the others from their workloads
    }
  }
  return merged;
}

// What agents ask of spire.api.server.entry.v1.Entry: the entries that they may serve, whole (GetAuthorizedEntries) or only what has changed
// (SyncAuthorizedEntries).
import type {
  EntryService,
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponse,
} from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { EntryMask } from '../../../proto/gen/spire/api/types/entry.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument } from '../../rpc/status.ts';
import type { AuthorizedEntries } from '../store/authorized-entries.ts';
import type { EntryRecord } from '../store/records.ts';
import type { CallerOf } from './caller.ts';
import { requireCallerId } from './caller.ts';
import { answerWith, encodeAhead } from './entry-list.ts';

export interface AuthorizedEntriesServiceOptions {
  readonly cache: Pick<AuthorizedEntries, 'agent' | 'authorizedEntries' | 'onChange'>;
  readonly callerOf: CallerOf;
  readonly pageSize?: number;
}

export const defaultEntryPageSize = 500;
const longestCacheLagMs = 1000;

export type AuthorizedEntriesMethods = Pick<
  Handlers<typeof EntryService>,
  'getAuthorizedEntries' | 'syncAuthorizedEntries'
>;

export function createAuthorizedEntriesService(options: AuthorizedEntriesServiceOptions): AuthorizedEntriesMethods {
  const { cache, callerOf, pageSize = defaultEntryPageSize } = options;

  return {
    async getAuthorizedEntries({ outputMask }, context) {
      const found = await entriesOf(context);
      await encodeAhead(found, outputMask);
      return answerWith({}, found, outputMask);
    },

    async *syncAuthorizedEntries(requests, context) {
      const found = await entriesOf(context);
      yield* sync(found, requests, pageSize);
    },
  };

  async function entriesOf(context: CallContext): Promise<readonly EntryRecord[]> {
    const id = String(requireCallerId(callerOf(context)));
    if (cache.agent(id) === undefined) await agentIsKnown(cache, id);
    return cache.authorizedEntries(id);
  }
}

/**
 * An agent that attested a moment ago, perhaps to another server, is in the store before it is in our cache. It asks at once, and an empty answer
 * would cost its workloads a whole sync interval.
 */
function agentIsKnown(cache: Pick<AuthorizedEntries, 'agent' | 'onChange'>, id: string): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(settle, longestCacheLagMs);
    const stop = cache.onChange(() => {
      if (cache.agent(id) !== undefined) settle();
    });
  });
}

type Responses = AsyncGenerator<SyncAuthorizedEntriesResponse, void, undefined>;

/** Few entries are sent whole. Of many, first their revisions; the agent then asks for those that it does not have. */
async function* sync(
  found: readonly EntryRecord[],
  requests: AsyncIterable<SyncAuthorizedEntriesRequest>,
  pageSize: number,
): Responses {
  let byId: Map<string, EntryRecord> | undefined;
  let mask: EntryMask | undefined;
  let first = true;
  for await (const { outputMask, ids } of requests) {
    if (first) {
      first = false;
      checkFirst(ids, outputMask);
      mask = outputMask; // the mask of later requests is ignored
      if (found.length <= pageSize) {
        yield answerWith({ entryRevisions: [], more: false }, found, mask);
        return;
      }
      yield* revisions(found, pageSize);
      continue;
    }
    byId ??= new Map(found.map((entry) => [entry.id, entry]));
    yield* pages(ids, byId, mask, pageSize);
  }
}

function checkFirst(ids: readonly string[], mask: EntryMask | undefined): void {
  if (ids.length > 0) throw invalidArgument('specifying IDs on initial request is not supported');
  if (mask !== undefined && !mask.revisionNumber) throw invalidArgument('revision number cannot be masked');
}

async function* revisions(found: readonly EntryRecord[], pageSize: number): Responses {
  for (let start = 0; start < found.length; start += pageSize) {
    const page = found.slice(start, start + pageSize);
    const entryRevisions = page.map(({ id, revisionNumber, createdAt }) => ({ id, revisionNumber, createdAt }));
    yield { entryRevisions, entries: [], more: start + pageSize < found.length };
  }
}

/** One request's entries; each is answered wholly, its last page without `more`, even where none was found. */
async function* pages(
  ids: readonly string[],
  byId: ReadonlyMap<string, EntryRecord>,
  mask: EntryMask | undefined,
  pageSize: number,
): Responses {
  let page: EntryRecord[] = [];
  for (const id of new Set(ids)) {
    const entry = byId.get(id);
    if (entry === undefined) continue;
    if (page.length === pageSize) {
      yield answerWith({ entryRevisions: [], more: true }, page, mask);
      page = [];
    }
    page.push(entry);
  }
  yield answerWith({ entryRevisions: [], more: false }, page, mask);
}

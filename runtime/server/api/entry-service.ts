// spire.api.server.entry.v1.Entry for administrators: list, create, update, delete. What agents ask of it is authorized-entries-service.ts.
import type {
  CountEntriesRequest_Filter,
  EntryService,
  ListEntriesRequest_Filter,
} from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { Entry, EntryMask } from '../../../proto/gen/spire/api/types/entry.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument, notFound, RpcError, statusCode } from '../../rpc/status.ts';
import { formatSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { StoreError } from '../store/errors.ts';
import type { EntryDraft, EntryFilter, EntryPatch, EntryRecord } from '../store/records.ts';
import type { CreatedEntry, EntryStore } from '../store/store.ts';
import { pageOf } from './page.ts';
import { createPause } from './pause.ts';
import { attempt, checkArgument, okStatus, statusOfItem } from './refusal.ts';
import { encodeEntry, parseEntryDraft, parseEntryPatch } from './wire/entry.ts';
import { parseFederatesWithMatch, parseSelectorMatch } from './wire/selectors.ts';
import { parseMemberId, parseWorkloadId } from './wire/spiffe-id.ts';

export interface EntryServiceOptions {
  readonly trustDomain: TrustDomain;
  readonly entries: EntryStore;
  readonly log: Logger;
}

export type EntryAdminMethods = Pick<
  Handlers<typeof EntryService>,
  'countEntries' | 'listEntries' | 'getEntry' | 'batchCreateEntry' | 'batchUpdateEntry' | 'batchDeleteEntry'
>;

export function createEntryService({ trustDomain, entries, log }: EntryServiceOptions): EntryAdminMethods {
  return {
    async countEntries({ filter }) {
      const parsed = parseFilter(trustDomain, filter);
      return { count: await attempt('failed to count entries', () => entries.countEntries(parsed)) };
    },

    async listEntries({ filter, outputMask, pageSize, pageToken }) {
      const parsed = parseFilter(trustDomain, filter);
      const page = pageOf(pageSize, pageToken);
      const found = await attempt('failed to list entries', () => entries.listEntries(parsed, page));
      return {
        entries: found.entries.map((entry) => encodeEntry(entry, outputMask)),
        nextPageToken: found.nextPageToken,
      };
    },

    async getEntry({ id, outputMask }) {
      if (id === '') throw invalidArgument('missing ID');
      const found = await attempt('failed to fetch entry', () => entries.fetchEntry(id));
      if (found === undefined) throw notFound('entry not found');
      return encodeEntry(found, outputMask);
    },

    async batchCreateEntry(request) {
      return { results: await createEntries(request.entries, request.outputMask) };
    },

    async batchUpdateEntry(request) {
      return { results: await updateEntries(request.entries, request.inputMask, request.outputMask) };
    },

    async batchDeleteEntry({ ids }) {
      return { results: await deleteEntries(ids) };
    },
  };

  /** All that are well-formed go to the store at once; each has an answer of its own. */
  async function createEntries(wires: readonly Entry[], mask: EntryMask | undefined) {
    const drafts: EntryDraft[] = [];
    const pause = createPause();
    const answers = [];
    for (const wire of wires) {
      await pause();
      answers.push(await statusOfItem(async () => drafts.push(parseDraft(wire)) - 1));
    }
    const outcomes = await attempt('failed to create entry', () => entries.createEntries(drafts));
    const results = [];
    for (const { status, value: index } of answers) {
      await pause();
      results.push(
        index === undefined ? { status, entry: undefined } : await resultOf(outcomes[index], drafts[index], mask),
      );
    }
    return results;
  }

  function parseDraft(wire: Entry): EntryDraft {
    return checkArgument('failed to convert entry', () => parseEntryDraft(trustDomain, wire));
  }

  async function resultOf(
    outcome: CreatedEntry | StoreError | undefined,
    draft: EntryDraft | undefined,
    mask: EntryMask | undefined,
  ) {
    const { status, value } = await statusOfItem(() => attempt('failed to create entry', () => settled(outcome)));
    if (value === undefined) return { status, entry: undefined };
    const entry = encodeEntry(value.existing ? value.entry : asAsked(value.entry, draft), mask);
    if (value.existing)
      return { status: { code: statusCode.ALREADY_EXISTS, message: 'similar entry already exists' }, entry };
    log.info({ entry_id: value.entry.id, spiffe_id: value.entry.spiffeId }, 'Entry created');
    return { status: okStatus, entry };
  }

  async function updateEntries(
    wires: readonly Entry[],
    inputMask: EntryMask | undefined,
    outputMask: EntryMask | undefined,
  ) {
    const updates: { id: string; patch: EntryPatch }[] = [];
    const pause = createPause();
    const answers = [];
    for (const wire of wires) {
      await pause();
      const parse = () => checkArgument('failed to convert entry', () => parseEntryPatch(trustDomain, wire, inputMask));
      answers.push(await statusOfItem(async () => updates.push({ id: wire.id, patch: parse() }) - 1));
    }
    const outcomes = await attempt('failed to update entry', () => entries.updateEntries(updates));
    const results = [];
    for (const { status, value: index } of answers) {
      await pause();
      if (index === undefined) {
        results.push({ status, entry: undefined });
        continue;
      }
      const { status: itsStatus, value } = await statusOfItem(() =>
        attempt('failed to update entry', () => settled(outcomes[index])).catch(sayNotFoundAlone),
      );
      results.push({
        status: itsStatus,
        entry: value && encodeEntry(asAsked(value, updates[index]?.patch), outputMask),
      });
    }
    return results;
  }

  /** One that is named twice is there once. */
  async function deleteEntries(ids: readonly string[]) {
    // No entry has such an ID, and the database would refuse the whole list for it.
    const named = [...new Set(ids)].filter((id) => id !== '' && !id.includes('\0'));
    const found = await attempt('failed to delete entry', () => entries.deleteEntries(named));
    const deleted = new Map(found.map((entry) => [entry.id, entry]));
    const results = [];
    for (const id of ids) {
      const { status } = await statusOfItem(async () => {
        if (id === '') throw invalidArgument('missing entry ID');
        const entry = deleted.get(id);
        if (entry === undefined) throw notFound('entry not found');
        deleted.delete(id);
        log.info({ entry_id: id, spiffe_id: entry.spiffeId }, 'Entry deleted');
      });
      results.push({ id, status });
    }
    return results;
  }
}

/** The answer to a change has the selectors in the order in which the caller sent them, as SPIRE's has; the store keeps them as a set. */
function asAsked(entry: EntryRecord, { selectors: asked }: Pick<EntryPatch, 'selectors'> = {}): EntryRecord {
  if (asked === undefined) return entry;
  const places = new Map(asked.map((selector, place) => [formatSelector(selector), place]));
  const place = (selector: Selector) => places.get(formatSelector(selector)) ?? 0;
  return { ...entry, selectors: [...entry.selectors].sort((a, b) => place(a) - place(b)) };
}

/** The outcome that the store has for an item; throws what it refused it with. */
async function settled<T extends object>(outcome: T | StoreError | undefined): Promise<T> {
  if (outcome === undefined) throw new Error('no outcome');
  if (outcome instanceof StoreError) throw outcome;
  return outcome;
}

/** What was not found is in the request; SPIRE does not repeat it. */
function sayNotFoundAlone(error: unknown): never {
  if (error instanceof RpcError && error.code === statusCode.NOT_FOUND) {
    throw notFound('failed to update entry', { cause: error });
  }
  throw error;
}

type WireFilter = CountEntriesRequest_Filter | ListEntriesRequest_Filter;

function parseFilter(trustDomain: TrustDomain, wire: WireFilter | undefined): EntryFilter {
  if (wire === undefined) return {};
  const { byHint, byParentId, bySpiffeId, bySelectors, byFederatesWith, byDownstream } = wire;
  return {
    ...(byHint !== undefined && byHint !== '' && { byHint }),
    ...(byParentId !== undefined && {
      byParentId: String(checkArgument('malformed parent ID filter', () => parseMemberId(trustDomain, byParentId))),
    }),
    ...(bySpiffeId !== undefined && {
      bySpiffeId: String(checkArgument('malformed SPIFFE ID filter', () => parseWorkloadId(trustDomain, bySpiffeId))),
    }),
    ...(bySelectors !== undefined && {
      bySelectors: checkArgument('malformed selectors filter', () => parseSelectorMatch(bySelectors)),
    }),
    ...(byFederatesWith !== undefined && {
      byFederatesWith: checkArgument('malformed federates with filter', () => parseFederatesWithMatch(byFederatesWith)),
    }),
    // False means no filter, as it does for SPIRE, whose command always sends it.
    ...(byDownstream === true && { byDownstream }),
  };
}

// Answers that carry entries to agents. Every agent asks again every few seconds, so an entry is encoded once for its record and mask, and an answer
// is put together from the pieces.
import type {
  GetAuthorizedEntriesResponse,
  SyncAuthorizedEntriesResponse,
} from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { EntryService } from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { EntryMask } from '../../../proto/gen/spire/api/types/entry.ts';
import { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import type { EntryRecord } from '../store/records.ts';
import { createMessageCache } from './message-cache.ts';
import { createPause } from './pause.ts';
import { encodeEntry } from './wire/entry.ts';

interface WithEntries {
  readonly entries: Entry[];
}

interface Source {
  /** The answer without them. */
  readonly rest: WithEntries;
  readonly records: readonly EntryRecord[];
  readonly mask: EntryMask | undefined;
}

interface Piece {
  readonly mask: string;
  readonly bytes: Uint8Array;
}

/** The numbers of the fields that hold the entries. */
const listFields = { authorized: 1, synchronized: 2 } as const;
const maxListBytes = 64 * 1024 * 1024;

/** One for each record: a fleet's agents all use the same mask. */
const pieces = new WeakMap<EntryRecord, Piece>();
/** An agent's list is the same array until something changes in it. */
const lists = createMessageCache<readonly EntryRecord[]>(maxListBytes);
/** Of the answers that are made here. */
const sources = new WeakMap<WithEntries, Source>();

/** The answer with the entries as the mask shows them; they are only decoded for who looks, which our serializers do not. */
export function answerWith<Rest extends object>(
  rest: Rest,
  records: readonly EntryRecord[],
  mask: EntryMask | undefined,
): Rest & { entries: Entry[] } {
  const answer = {
    ...rest,
    get entries(): Entry[] {
      return records.map((record) => encodeEntry(record, mask));
    },
  };
  sources.set(answer, { rest: { ...rest, entries: [] }, records, mask });
  return answer;
}

/** Encodes the entries of an answer to GetAuthorizedEntries that are not encoded yet, in turns with other work: ten thousand at once would hold everybody up. */
export async function encodeAhead(records: readonly EntryRecord[], mask: EntryMask | undefined): Promise<void> {
  const key = keyOf(mask);
  if (lists.has(records, variantOf(listFields.authorized, key))) return;
  const pause = createPause();
  for (const record of records) {
    if (pieces.get(record)?.mask === key) continue;
    await pause();
    pieceOf(record, mask, key);
  }
}

/** The entry service, with serializers that know such answers. */
export const entryService = {
  ...EntryService,
  getAuthorizedEntries: {
    ...EntryService.getAuthorizedEntries,
    responseSerialize: (answer: GetAuthorizedEntriesResponse): Buffer =>
      serialize(answer, listFields.authorized, EntryService.getAuthorizedEntries.responseSerialize),
  },
  syncAuthorizedEntries: {
    ...EntryService.syncAuthorizedEntries,
    responseSerialize: (answer: SyncAuthorizedEntriesResponse): Buffer =>
      serialize(answer, listFields.synchronized, EntryService.syncAuthorizedEntries.responseSerialize),
  },
};

function variantOf(field: number, key: string): string {
  return `${field} ${key}`;
}

function keyOf(mask: EntryMask | undefined): string {
  return mask === undefined ? '' : JSON.stringify(mask);
}

/** Fields of a message may stand in any order: those beside the entries come first. */
function serialize<T extends WithEntries>(answer: T, field: number, whole: (answer: T) => Buffer): Buffer {
  const source = sources.get(answer);
  if (source === undefined) return whole(answer);
  const { records, mask } = source;
  const key = keyOf(mask);
  const entries = lists.get(records, variantOf(field, key), () => joinPieces(records, mask, key, field));
  const rest = whole(source.rest as T);
  return rest.length === 0 ? entries : Buffer.concat([rest, entries]);
}

function joinPieces(records: readonly EntryRecord[], mask: EntryMask | undefined, key: string, field: number): Buffer {
  const parts = records.map((record) => pieceOf(record, mask, key));
  const joined = Buffer.allocUnsafe(parts.reduce((sum, { length }) => sum + 1 + varintLength(length) + length, 0));
  let offset = 0;
  for (const part of parts) {
    joined[offset] = (field << 3) | 2;
    offset = writeVarint(joined, offset + 1, part.length);
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

function pieceOf(record: EntryRecord, mask: EntryMask | undefined, key: string): Uint8Array {
  const known = pieces.get(record);
  if (known?.mask === key) return known.bytes;
  const bytes = Entry.encode(encodeEntry(record, mask)).finish();
  pieces.set(record, { mask: key, bytes });
  return bytes;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) length += 1;
  return length;
}

function writeVarint(target: Buffer, start: number, value: number): number {
  let [offset, rest] = [start, value];
  for (; rest > 0x7f; rest >>>= 7) target[offset++] = (rest & 0x7f) | 0x80;
  target[offset++] = rest;
  return offset;
}

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

/** One for each record: a fleet's agents all use the same mask. */
const pieces = new WeakMap<EntryRecord, Piece>();
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

/** The entry service, with serializers that know such answers. */
export const entryService = {
  ...EntryService,
  getAuthorizedEntries: {
    ...EntryService.getAuthorizedEntries,
    responseSerialize: (answer: GetAuthorizedEntriesResponse): Buffer =>
      serialize(answer, 1, EntryService.getAuthorizedEntries.responseSerialize),
  },
  syncAuthorizedEntries: {
    ...EntryService.syncAuthorizedEntries,
    responseSerialize: (answer: SyncAuthorizedEntriesResponse): Buffer =>
      serialize(answer, 2, EntryService.syncAuthorizedEntries.responseSerialize),
  },
};

/** Fields of a message may stand in any order: those beside the entries come first. */
function serialize<T extends WithEntries>(answer: T, field: number, whole: (answer: T) => Buffer): Buffer {
  const source = sources.get(answer);
  if (source === undefined) return whole(answer);
  const key = source.mask === undefined ? '' : JSON.stringify(source.mask);
  const parts = source.records.map((record) => pieceOf(record, source.mask, key));
  const rest = whole(source.rest as T);
  const total = parts.reduce((sum, { length }) => sum + 1 + varintLength(length) + length, rest.length);
  const message = Buffer.allocUnsafe(total);
  let offset = rest.copy(message);
  for (const part of parts) {
    message[offset] = (field << 3) | 2;
    offset = writeVarint(message, offset + 1, part.length);
    message.set(part, offset);
    offset += part.length;
  }
  return message;
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

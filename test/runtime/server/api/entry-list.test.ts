import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  EntryService,
  GetAuthorizedEntriesResponse,
  SyncAuthorizedEntriesResponse,
} from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { EntryMask } from '../../../../proto/gen/spire/api/types/entry.ts';
import { answerWith, encodeAhead, entryService } from '../../../../runtime/server/api/entry-list.ts';
import type { EntryRecord } from '../../../../runtime/server/store/records.ts';

const records: EntryRecord[] = ['', 'h'.repeat(200), 'h'.repeat(20_000)].map((hint, index) => ({
  id: `e${index}`,
  spiffeId: `spiffe://example.org/w${index}`,
  parentId: 'spiffe://example.org/spire/agent/x509pop/a',
  selectors: [{ type: 'unix', value: `uid:${index}` }],
  x509SvidTtl: 60,
  jwtSvidTtl: 0,
  federatesWith: ['other.test'],
  admin: false,
  downstream: index === 1,
  storeSvid: false,
  expiresAt: 0,
  createdAt: 1000,
  dnsNames: ['a.test'],
  hint,
  revisionNumber: index,
}));

// Pieces of one, two and three bytes of length; the first mask's pieces are kept while the second asks.
describe.each([
  ['no mask', undefined],
  ['a mask', EntryMask.create({ spiffeId: true, revisionNumber: true, hint: true })],
  ['no mask again', undefined],
])('an answer with %s, put together from pieces,', (_, mask) => {
  test('is what the generated code reads, of GetAuthorizedEntries', () => {
    const bytes = entryService.getAuthorizedEntries.responseSerialize(answerWith({}, records, mask));
    const { entries } = answerWith({}, records, mask);
    expect(GetAuthorizedEntriesResponse.decode(bytes)).toEqual(GetAuthorizedEntriesResponse.create({ entries }));
  });

  test('is what the generated code reads, of SyncAuthorizedEntries', () => {
    const answer = answerWith({ entryRevisions: [], more: true }, records, mask);
    const bytes = entryService.syncAuthorizedEntries.responseSerialize(answer);
    expect(SyncAuthorizedEntriesResponse.decode(bytes)).toEqual({ ...answer, entries: answer.entries });
  });
});

test('an answer made elsewhere is serialized as generated', () => {
  const answer = { entryRevisions: [{ id: 'e', revisionNumber: 1, createdAt: 2 }], entries: [], more: true };
  const expected = EntryService.syncAuthorizedEntries.responseSerialize(answer);
  expect(entryService.syncAuthorizedEntries.responseSerialize(answer)).toEqual(expected);
});

test('many entries are encoded in turns with other work, before the answer is put together', async () => {
  // Each takes a while to encode, and how many of them were looked at when others had their turn is what is seen.
  let encoded = 0;
  const slow = (record: EntryRecord): EntryRecord => ({
    ...record,
    get hint() {
      const end = performance.now() + 2;
      while (performance.now() < end);
      encoded += 1;
      return '';
    },
  });
  const many = Array.from({ length: 40 }, (_, index) => slow({ ...records[0]!, id: `slow-${index}` }));
  const seen: number[] = [];
  const done = new AbortController();
  const others = (async () => {
    while (!done.signal.aborted) {
      await setImmediate();
      seen.push(encoded);
    }
  })();
  await encodeAhead(many, undefined);
  done.abort();
  await others;
  expect(encoded).toBe(40);
  // Two milliseconds for each, ten for a turn: a turn has a handful of them, however slow the machine is.
  const turns = seen.map((count, index) => count - (seen[index - 1] ?? 0));
  expect(Math.max(...turns)).toBeLessThanOrEqual(6);

  const bytes = entryService.getAuthorizedEntries.responseSerialize(answerWith({}, many, undefined));
  expect(encoded).toBe(40);
  expect(GetAuthorizedEntriesResponse.decode(bytes).entries).toHaveLength(40);
});

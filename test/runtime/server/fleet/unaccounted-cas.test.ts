// Which CA certificates of downstream servers still stand in the way of "nobody uses it any more".
import { expect, test } from 'vitest';
import { unaccountedCas } from '../../../../runtime/server/fleet/unaccounted-cas.ts';

const ca = (requestedBy: string, expiresAt: number, more: { issuerId?: string; rootId?: string } = {}) => ({
  issuerId: 'old',
  rootId: '',
  requestedBy,
  expiresAt,
  ...more,
});
const holding = (id: string, ...x509AuthorityIds: string[]) => ({
  id,
  own: { x509AuthorityIds, count: 1, earliestNotAfter: 0, latestNotAfter: 0 },
});
const none = { unaccountedCaNotAfter: 0, unaccountedCaHolders: [] };

test('one whose server shows another root is accounted for', () => {
  expect(unaccountedCas('old', [ca('a', 10)], [holding('a', 'new')])).toEqual(none);
});

test('one whose server still shows the authority is not', () => {
  const open = { unaccountedCaNotAfter: 10, unaccountedCaHolders: ['a'] };
  expect(unaccountedCas('old', [ca('a', 10)], [holding('a', 'old')])).toEqual(open);
});

test('one process of two that has left does not speak for the other', () => {
  const processes = [holding('a', 'new'), holding('a', 'old')];
  expect(unaccountedCas('old', [ca('a', 10)], processes).unaccountedCaHolders).toEqual(['a']);
});

test('one whose server never reports is waited for until its end, and the last end counts', () => {
  const signed = [ca('a', 10), ca('plain', 30), ca('b', 20)];
  const open = unaccountedCas('old', signed, [holding('a', 'new')]);
  expect(open).toEqual({ unaccountedCaNotAfter: 30, unaccountedCaHolders: ['b', 'plain'] });
});

test('one that reports no CA of its own has shown nothing', () => {
  const silent = { id: 'a', own: undefined };
  expect(unaccountedCas('old', [ca('a', 10)], [silent]).unaccountedCaHolders).toEqual(['a']);
});

test('one under an intermediate counts for the root above it', () => {
  const signed = [ca('a', 10, { issuerId: 'middle', rootId: 'old' })];
  expect(unaccountedCas('old', signed, []).unaccountedCaNotAfter).toBe(10);
  expect(unaccountedCas('other', signed, [])).toEqual(none);
});

test('one of which nobody kept who asked is unknown, and at most twenty are named', () => {
  expect(unaccountedCas('old', [ca('', 10)], [holding('', 'new')]).unaccountedCaHolders).toEqual([]);
  expect(unaccountedCas('old', [ca('', 10)], []).unaccountedCaHolders).toEqual(['unknown']);
  const many = Array.from({ length: 25 }, (_, index) => ca(`s${index}`, 10));
  expect(unaccountedCas('old', many, []).unaccountedCaHolders).toHaveLength(20);
});

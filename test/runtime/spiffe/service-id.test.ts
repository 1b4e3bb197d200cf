import { describe, expect, test } from 'vitest';
import { parseSubject, serviceName, subjectId } from '../../../runtime/spiffe/service-id.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';

const metald = parseSpiffeId('spiffe://example.org/service/metald');

describe('a subject is refused', () => {
  const dots = 'path cannot contain dot segments';
  const characters = 'path segment characters are limited to letters, numbers, dots, dashes, and underscores';
  test.each([
    ['', 'a', 'SUBJECT_KIND', 'kind "" is neither customer nor tenant'],
    ['admin', 'a', 'SUBJECT_KIND', 'kind "admin" is neither customer nor tenant'],
    ['Customer', 'a', 'SUBJECT_KIND', 'kind "Customer" is neither customer nor tenant'],
    ['customer', '', 'PATH_EMPTY_SEGMENT', 'path cannot contain empty segments'],
    ['customer', '.', 'PATH_DOT_SEGMENT', dots],
    ['tenant', '..', 'PATH_DOT_SEGMENT', dots],
    ['customer', 'a/b', 'PATH_CHARACTER', characters],
    ['customer', '../admin', 'PATH_CHARACTER', characters],
    ['customer', '%2e%2e', 'PATH_CHARACTER', characters],
    ['customer', 'a b', 'PATH_CHARACTER', characters],
    ['customer', 'a\0', 'PATH_CHARACTER', characters],
    ['customer', 'ä', 'PATH_CHARACTER', characters],
    ['customer', '*', 'PATH_CHARACTER', characters],
    ['customer', 'a'.repeat(129), 'SUBJECT_LENGTH', 'id has 129 characters, at most 128 are taken'],
  ])('%j %j', (kind, id, code, message) => {
    expect(() => parseSubject(kind, id)).toThrow(expect.objectContaining({ code, message }));
  });
});

test('a subject stands below its service, byte for byte', () => {
  expect(String(subjectId(metald, parseSubject('customer', 'cust-123')))).toBe(
    'spiffe://example.org/service/metald/customer/cust-123',
  );
  expect(String(subjectId(metald, parseSubject('tenant', 'ACME_.corp')))).toBe(
    'spiffe://example.org/service/metald/tenant/ACME_.corp',
  );
  expect(parseSubject('customer', 'a'.repeat(128)).id).toHaveLength(128);
});

test.each([
  ['/service/metald', 'metald'],
  ['/service/metald/customer/a', undefined],
  ['/service', undefined],
  ['/services/metald', undefined],
  ['/prod/service/metald', undefined],
  ['', undefined],
])('the service of %s is %s', (path, name) => {
  expect(serviceName({ path })).toBe(name);
});

import { describe, expect, test } from 'vitest';
import { parseConnectionString } from '../../../../runtime/server/store/connection-string.ts';

test.each([
  ['a URL stays', 'postgres://u:p@h:1/d?sslmode=require', 'postgres://u:p@h:1/d?sslmode=require'],
  [
    'key=value pairs, as SPIRE’s documentation has them',
    'dbname=spire user=admin password=secret host=db.test port=5433 sslmode=disable',
    'postgres://admin:secret@db.test:5433/spire?uselibpqcompat=true&sslmode=disable',
  ],
  ['defaults', 'user=spire', 'postgres://spire@localhost:5432/spire'],
  [
    'a quoted value with blanks, quotes and reserved characters',
    "user = u password='a b\\'c@/?#' dbname=d",
    "postgres://u:a%20b'c%40%2F%3F%23@localhost:5432/d",
  ],
  [
    'a directory of a Unix socket',
    'host=/run/postgresql dbname=d user=u',
    'postgres://u@placeholder:5432/d?host=%2Frun%2Fpostgresql',
  ],
])('%s', (_, text, url) => {
  expect(parseConnectionString(text)).toBe(url);
});

describe('refused, without repeating it, is', () => {
  test.each([
    ['nothing', '', 'connection string is empty'],
    ['a key without a value', 'user=u secret', 'connection string is not key=value at character 7'],
    ['a quote that does not end', "password='secret", 'connection string is not key=value at character 1'],
  ])('%s', (_, text, message) => {
    expect(() => parseConnectionString(text)).toThrow(message);
  });
});

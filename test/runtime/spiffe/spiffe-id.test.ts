// SPIFFE IDs byte by byte (SPIFFE-ID §2), and the IDs that SPIRE reserves.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../../../runtime/spiffe/errors.ts';
import {
  agentId,
  createSpiffeId,
  isAgentPath,
  isReservedPath,
  isServerPath,
  parseSpiffeId,
  serverId,
} from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { refusalOf } from './refusal.ts';

const trustDomain = parseTrustDomain('td.test');
const pathCharacters = 'path segment characters are limited to letters, numbers, dots, dashes, and underscores';
const domainCharacters =
  'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores';
const dotSegments = 'path cannot contain dot segments';
const emptySegments = 'path cannot contain empty segments';

describe('parseSpiffeId', () => {
  it.each([
    ['spiffe://td.test', ''],
    ['spiffe://td.test/a', '/a'],
    ['spiffe://td.test/A-Z_0.9/b', '/A-Z_0.9/b'],
    ['spiffe://td.test/...', '/...'],
    ['spiffe://td.test/.a/..b/c..', '/.a/..b/c..'],
    [`spiffe://td.test/${'x'.repeat(2048 - 17)}`, `/${'x'.repeat(2048 - 17)}`],
  ])('accepts %.40j', (text, path) => {
    const id = parseSpiffeId(text);
    expect([id.trustDomain.name, id.path, id.toString(), JSON.stringify(id)]).toEqual([
      'td.test',
      path,
      text,
      JSON.stringify(text),
    ]);
  });

  it.each([
    ['', 'ID_EMPTY', 'cannot be empty'],
    ['td.test/a', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['/a', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['Spiffe://td.test/a', 'ID_SCHEME', 'scheme is missing or invalid'],
    [' spiffe://td.test/a', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['spiffe:/td.test/a', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['http://td.test/a', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['spiffe://', 'TRUST_DOMAIN_MISSING', 'trust domain is missing'],
    ['spiffe:///a', 'TRUST_DOMAIN_MISSING', 'trust domain is missing'],
    ['spiffe://TD.test/a', 'TRUST_DOMAIN_CHARACTER', domainCharacters],
    ['spiffe://td.test:80/a', 'TRUST_DOMAIN_CHARACTER', domainCharacters],
    ['spiffe://user@td.test/a', 'TRUST_DOMAIN_CHARACTER', domainCharacters],
    ['spiffe://td%2etest/a', 'TRUST_DOMAIN_CHARACTER', domainCharacters],
    ['spiffe://td.test\\a', 'TRUST_DOMAIN_CHARACTER', domainCharacters],
    ['spiffe://td.test?a', 'TRUST_DOMAIN_CHARACTER', domainCharacters],
    ['spiffe://td.test/', 'PATH_TRAILING_SLASH', 'path cannot have a trailing slash'],
    ['spiffe://td.test/a/', 'PATH_TRAILING_SLASH', 'path cannot have a trailing slash'],
    ['spiffe://td.test//', 'PATH_EMPTY_SEGMENT', emptySegments],
    ['spiffe://td.test//a', 'PATH_EMPTY_SEGMENT', emptySegments],
    ['spiffe://td.test/a//b', 'PATH_EMPTY_SEGMENT', emptySegments],
    ['spiffe://td.test/.', 'PATH_DOT_SEGMENT', dotSegments],
    ['spiffe://td.test/./a', 'PATH_DOT_SEGMENT', dotSegments],
    ['spiffe://td.test/a/..', 'PATH_DOT_SEGMENT', dotSegments],
    ['spiffe://td.test/a/../admin', 'PATH_DOT_SEGMENT', dotSegments],
    // CVE-2021-27099: whoever decodes these makes them `/admin`.
    ['spiffe://td.test/a/%2e%2e/admin', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a%2fb', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/%61dmin', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a?b', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a#b', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a\\..\\b', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a b', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a\n', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a\0', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a:b', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/a,URI:spiffe://td.test/b', 'PATH_CHARACTER', pathCharacters],
    // Cyrillic а
    ['spiffe://td.test/а', 'PATH_CHARACTER', pathCharacters],
    ['spiffe://td.test/💥', 'PATH_CHARACTER', pathCharacters],
    [`spiffe://td.test/${'x'.repeat(2049 - 17)}`, 'ID_LENGTH', 'SPIFFE ID is longer than 2048 bytes'],
  ])('refuses %.50j', (text, code, message) => {
    expect(refusalOf(() => parseSpiffeId(text))).toEqual({ code, message });
  });

  it('gives back every ID that it accepts byte for byte', () => {
    const unit = fc.constantFrom('/', '.', '..', 'a', 'Z', '0', '-', '_', '%', '%2e', '//', 'é', '?', '#');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (rest) => {
        const text = `spiffe://td.test${rest}`;
        try {
          expect(parseSpiffeId(text).toString()).toBe(text);
          expect(text).toMatch(/^spiffe:\/\/[a-z0-9._-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/);
        } catch (error) {
          if (!(error instanceof SpiffeError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts every well-formed path', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,8}$/).filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        const path = segments.map((text) => `/${text}`).join('');
        expect(createSpiffeId(trustDomain, path).path).toBe(path);
      }),
    );
  });

  it('compares trust domain and path', () => {
    const id = parseSpiffeId('spiffe://td.test/a');
    expect(id.equals(createSpiffeId(trustDomain, '/a'))).toBe(true);
    expect(id.equals(parseSpiffeId('spiffe://td.test/A'))).toBe(false);
    expect(id.equals(parseSpiffeId('spiffe://other.test/a'))).toBe(false);
  });
});

describe('createSpiffeId', () => {
  it('refuses a path without its leading slash', () => {
    expect(refusalOf(() => createSpiffeId(trustDomain, 'a'))).toEqual({
      code: 'PATH_LEADING_SLASH',
      message: 'path must have a leading slash',
    });
  });
});

describe('reserved IDs', () => {
  it('names servers and agents', () => {
    expect(serverId(trustDomain).toString()).toBe('spiffe://td.test/spire/server');
    expect(agentId(trustDomain, 'aws_iid', '000000000077', 'us-east-1', 'i-1').toString()).toBe(
      'spiffe://td.test/spire/agent/aws_iid/000000000077/us-east-1/i-1',
    );
  });

  it.each([
    ['../server', 'PATH_CHARACTER'],
    ['a/b', 'PATH_CHARACTER'],
    ['..', 'PATH_DOT_SEGMENT'],
    ['.', 'PATH_DOT_SEGMENT'],
    ['', 'PATH_EMPTY_SEGMENT'],
    ['tökén', 'PATH_CHARACTER'],
    ['%2e%2e', 'PATH_CHARACTER'],
  ])('refuses an agent ID from the token %j', (token, code) => {
    expect(refusalOf(() => agentId(trustDomain, 'join_token', token)).code).toBe(code);
  });

  it.each([
    ['/spire', true, false, false],
    ['/spire/server', true, false, true],
    ['/spire/agent', true, false, false],
    ['/spire/agent/x509pop/1', true, true, false],
    ['/spire/anything', true, false, false],
    ['/spirevine', false, false, false],
    ['/Spire/server', false, false, false],
    ['/a/spire/server', false, false, false],
    ['', false, false, false],
  ])('knows %j', (path, reserved, agent, server) => {
    expect([isReservedPath(path), isAgentPath(path), isServerPath(path)]).toEqual([reserved, agent, server]);
  });
});

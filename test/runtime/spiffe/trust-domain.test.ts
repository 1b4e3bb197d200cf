// Trust domain names and the forms in which they are given (SPIFFE-ID §2.1, §2.3).
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../../../runtime/spiffe/errors.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { refusalOf } from './refusal.ts';

const characters = 'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores';

describe('parseTrustDomain', () => {
  it.each([
    ['example.org', 'example.org'],
    ['a', 'a'],
    ['under_score-1.2', 'under_score-1.2'],
    ['spiffe://example.org', 'example.org'],
    ['spiffe://example.org/some/path', 'example.org'],
    ['x'.repeat(255), 'x'.repeat(255)],
  ])('accepts %j', (text, name) => {
    const trustDomain = parseTrustDomain(text);
    expect(trustDomain.name).toBe(name);
    expect(trustDomain.idString()).toBe(`spiffe://${name}`);
  });

  it.each([
    ['', 'TRUST_DOMAIN_MISSING', 'trust domain is missing'],
    ['spiffe://', 'TRUST_DOMAIN_MISSING', 'trust domain is missing'],
    ['spiffe:///path', 'TRUST_DOMAIN_MISSING', 'trust domain is missing'],
    ['Example.org', 'TRUST_DOMAIN_CHARACTER', characters],
    ['example.org/', 'TRUST_DOMAIN_CHARACTER', characters],
    ['example.org:8080', 'TRUST_DOMAIN_CHARACTER', characters],
    ['user@example.org', 'TRUST_DOMAIN_CHARACTER', characters],
    ['exämple.org', 'TRUST_DOMAIN_CHARACTER', characters],
    // Cyrillic а
    ['exаmple.org', 'TRUST_DOMAIN_CHARACTER', characters],
    ['%65xample.org', 'TRUST_DOMAIN_CHARACTER', characters],
    [' example.org', 'TRUST_DOMAIN_CHARACTER', characters],
    ['example.org\n', 'TRUST_DOMAIN_CHARACTER', characters],
    ['example\0.org', 'TRUST_DOMAIN_CHARACTER', characters],
    ['spiffe:example.org', 'TRUST_DOMAIN_CHARACTER', characters],
    ['spiffe://example.org?query', 'TRUST_DOMAIN_CHARACTER', characters],
    ['spiffe://example.org#fragment', 'TRUST_DOMAIN_CHARACTER', characters],
    ['spiffe://example.org:8080/path', 'TRUST_DOMAIN_CHARACTER', characters],
    ['https://example.org', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['SPIFFE://example.org', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['spiffe:/example.org', 'ID_SCHEME', 'scheme is missing or invalid'],
    ['spiffe://example.org/', 'PATH_TRAILING_SLASH', 'path cannot have a trailing slash'],
    ['spiffe://example.org/../x', 'PATH_DOT_SEGMENT', 'path cannot contain dot segments'],
    ['x'.repeat(256), 'TRUST_DOMAIN_LENGTH', 'trust domain is longer than 255 bytes'],
  ])('refuses %j', (text, code, message) => {
    expect(refusalOf(() => parseTrustDomain(text))).toEqual({ code, message });
  });

  it('compares names and nothing else', () => {
    expect(parseTrustDomain('a.test').equals(parseTrustDomain('spiffe://a.test/x'))).toBe(true);
    expect(parseTrustDomain('a.test').equals(parseTrustDomain('b.test'))).toBe(false);
  });

  it('writes itself as its name, in text and in JSON', () => {
    const trustDomain = parseTrustDomain('a.test');
    expect(`${trustDomain.toString()} ${JSON.stringify({ trustDomain })}`).toBe('a.test {"trustDomain":"a.test"}');
  });

  it('refuses or keeps any text byte for byte', () => {
    const unit = fc.constantFrom('a', 'z', '0', '.', '-', '_', 'A', 'é', '%', '/', ':', '\0', '\u{1F4A5}');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 8 }), (text) => {
        try {
          expect(parseTrustDomain(text).name).toBe(text);
          expect(text).toMatch(/^[a-z0-9._-]+$/);
        } catch (error) {
          if (!(error instanceof SpiffeError)) throw error;
        }
      }),
    );
  });
});

// Durations in Go's notation. The expected values are what Go's time.ParseDuration and Duration.String say.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../../runtime/spiffe/duration.ts';
import { SpiffeError } from '../../../runtime/spiffe/errors.ts';
import { refusalOf } from './refusal.ts';

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['-0', 0],
    ['+0', 0],
    ['0s', 0],
    ['-0s', 0],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['8760h', 31_536_000_000],
    ['300ms', 300],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['5.s', 5_000],
    ['1.001s', 1_001],
    ['1h1h', 7_200_000],
    ['1s1h', 3_601_000],
    ['-1m', -60_000],
    ['+1m', 60_000],
    ['1us', 0.001],
    ['1µs', 0.001],
    ['1μs', 0.001],
    ['1ns', 0.000001],
    ['2562047h', 9_223_369_200_000],
  ])('reads %j as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    ['', 'invalid duration ""'],
    ['-', 'invalid duration "-"'],
    ['.', 'invalid duration "."'],
    ['.s', 'invalid duration ".s"'],
    ['s', 'invalid duration "s"'],
    ['--1s', 'invalid duration "--1s"'],
    ['1-s', 'unknown unit "-s" in duration "1-s"'],
    ['5', 'missing unit in duration "5"'],
    ['1.5', 'missing unit in duration "1.5"'],
    ['1h30', 'missing unit in duration "1h30"'],
    ['1d', 'unknown unit "d" in duration "1d"'],
    ['1H', 'unknown unit "H" in duration "1H"'],
    ['1 h', 'unknown unit " h" in duration "1 h"'],
    [' 1h', 'invalid duration " 1h"'],
    ['1h ', 'unknown unit "h " in duration "1h "'],
    ['1h\n', 'unknown unit "h\\n" in duration "1h\\n"'],
    ['1h-5m', 'unknown unit "h-" in duration "1h-5m"'],
    ['1e3s', 'unknown unit "e" in duration "1e3s"'],
    ['0x1s', 'unknown unit "x" in duration "0x1s"'],
    ['1,5h', 'unknown unit "," in duration "1,5h"'],
    ['2562048h', 'invalid duration "2562048h"'],
    ['١h', 'invalid duration "١h"'],
    ['Infinity', 'invalid duration "Infinity"'],
  ])('refuses %j', (text, message) => {
    expect(refusalOf(() => parseDuration(text))).toEqual({ code: 'DURATION', message });
  });

  it('reads or refuses any text', () => {
    const unit = fc.constantFrom('1', '0', '9', '.', 'h', 'm', 's', 'ms', '-', '+', 'µ', ' ');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 10 }), (text) => {
        try {
          expect(parseDuration(text)).toSatisfy(Number.isFinite);
        } catch (error) {
          if (!(error instanceof SpiffeError)) throw error;
        }
      }),
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0s'],
    [3_600_000, '1h0m0s'],
    [5_400_000, '1h30m0s'],
    [300_000, '5m0s'],
    [61_001, '1m1.001s'],
    [1_500, '1.5s'],
    [250, '250ms'],
    [1.5, '1.5ms'],
    [0.0015, '1.5µs'],
    [0.000001, '1ns'],
    [-90_000, '-1m30s'],
    [31_536_000_000, '8760h0m0s'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([NaN, Infinity, -Infinity])('refuses %d', (ms) => {
    expect(refusalOf(() => formatDuration(ms)).code).toBe('DURATION');
  });

  it('is read back as it was', () => {
    fc.assert(
      fc.property(fc.integer({ min: -9e12, max: 9e12 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

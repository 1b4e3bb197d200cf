// RFC 8785: one form for every value, so that a digest is of what was meant. The vectors are those of the RFC's section 3.2.2 and appendix B.
import { expect, test } from 'vitest';
import { canonicalJson } from '../../../activities/trust/canonical-json.ts';

test('keys are sorted by their UTF-16 code units, at every depth, and nothing stands between them', () => {
  const value = {
    '\u20ac': 'Euro',
    '\r': 'CR',
    '\u05d3\u05d5': 'Dalet',
    '1': 'One',
    '\ud83d\ude00': 'Smiley',
    '\u0080': 'Control',
    '\u00f6': 'o',
  };
  expect(Object.values(JSON.parse(canonicalJson(value)) as object)).toHaveLength(7);
  expect(canonicalJson({ b: { d: 1, c: [2, { f: 3, e: 4 }] }, a: null })).toBe(
    '{"a":null,"b":{"c":[2,{"e":4,"f":3}],"d":1}}',
  );
  expect(canonicalJson(value).match(/"(?:\\r|1|\u0080|\u00f6|\u05d3\u05d5|\u20ac|\ud83d\ude00)":/gu)).toEqual([
    '"\\r":',
    '"1":',
    '"\u0080":',
    '"\u00f6":',
    '"\u05d3\u05d5":',
    '"\u20ac":',
    '"\ud83d\ude00":',
  ]);
});

test.each([
  [333333333.33333329, '333333333.3333333'],
  [1e30, '1e+30'],
  [4.5, '4.5'],
  [2e-3, '0.002'],
  [0.000000000000000000000000001, '1e-27'],
  [-0, '0'],
])('%d is written %s', (value, text) => {
  expect(canonicalJson(value)).toBe(text);
});

test('strings keep what need not be escaped', () => {
  expect(canonicalJson('\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"\/')).toBe('"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"');
});

test('what is undefined is not there, and what JSON cannot say is refused', () => {
  expect(canonicalJson({ a: undefined, b: true })).toBe('{"b":true}');
  for (const wrong of [NaN, Infinity, undefined, [undefined], () => 1])
    expect(() => canonicalJson(wrong)).toThrow(TypeError);
});

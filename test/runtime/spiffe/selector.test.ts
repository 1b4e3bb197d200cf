// Selectors: their text, their order and their sets.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkSelector,
  formatSelector,
  isSubset,
  parseSelector,
  sortSelectors,
} from '../../../runtime/spiffe/selector.ts';
import { refusalOf } from './refusal.ts';

const selectors = (...texts: string[]) => texts.map(parseSelector);

describe('parseSelector', () => {
  it.each([
    ['unix:uid:1000', { type: 'unix', value: 'uid:1000' }],
    ['a:b', { type: 'a', value: 'b' }],
    ['a::', { type: 'a', value: ':' }],
    ['k8s:pod-label:app: x ', { type: 'k8s', value: 'pod-label:app: x ' }],
  ])('reads %j', (text, selector) => {
    expect(parseSelector(text)).toEqual(selector);
    expect(formatSelector(selector)).toBe(text);
  });

  it.each([
    ['', 'SELECTOR_FORMAT', 'selector "" must be formatted as type:value'],
    ['unix', 'SELECTOR_FORMAT', 'selector "unix" must be formatted as type:value'],
    [':value', 'SELECTOR_TYPE_MISSING', 'missing selector type'],
    [':', 'SELECTOR_TYPE_MISSING', 'missing selector type'],
    ['unix:', 'SELECTOR_VALUE_MISSING', 'missing selector value'],
  ])('refuses %j', (text, code, message) => {
    expect(refusalOf(() => parseSelector(text))).toEqual({ code, message });
  });

  it('refuses a type with a colon, which only the wire can bring', () => {
    expect(refusalOf(() => checkSelector({ type: 'a:b', value: 'c' }))).toEqual({
      code: 'SELECTOR_TYPE_COLON',
      message: "selector type contains ':'",
    });
  });
});

describe('sortSelectors', () => {
  it('sorts by type, then value, and drops duplicates', () => {
    const sorted = sortSelectors(selectors('b:1', 'a:2', 'a:10', 'b:1', 'a:2'));
    expect(sorted.map(formatSelector)).toEqual(['a:10', 'a:2', 'b:1']);
  });

  it('leaves its input as it was', () => {
    const input = selectors('b:1', 'a:1');
    sortSelectors(input);
    expect(input.map(formatSelector)).toEqual(['b:1', 'a:1']);
  });

  it('does not depend on the order of its input', () => {
    const selector = fc.record({ type: fc.constantFrom('a', 'b'), value: fc.constantFrom('1', '2', '3') });
    fc.assert(
      fc.property(fc.array(selector), (list) => {
        expect(sortSelectors([...list].reverse())).toEqual(sortSelectors(list));
      }),
    );
  });
});

describe('isSubset', () => {
  it.each([
    [['a:1'], ['a:1', 'b:1'], true],
    [['b:1', 'a:1'], ['a:1', 'b:1'], true],
    [['a:1', 'a:1'], ['a:1'], true],
    [[], ['a:1'], true],
    [['a:1', 'c:1'], ['a:1', 'b:1'], false],
    [['a:1'], [], false],
    [['a:12'], ['a:1'], false],
    [['a:1'], ['A:1'], false],
    [['b:1'], ['a:1'], false],
  ])('%j within %j: %s', (wanted, have, expected) => {
    expect(isSubset(selectors(...wanted), selectors(...have))).toBe(expected);
  });
});

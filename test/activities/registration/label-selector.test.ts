import { expect, it } from 'vitest';
import { createLabelSelector } from '../../../activities/registration/objects/label-selector.ts';

const selects = (spec: Parameters<typeof createLabelSelector>[0], labels: Record<string, string>) =>
  createLabelSelector(spec)(labels);
const expression = (operator: string, values?: string[]) => ({ matchExpressions: [{ key: 'tier', operator, values }] });

it.for([
  ['an empty selector', {}, {}, true],
  ['a label that is there', { matchLabels: { a: '1' } }, { a: '1', b: '2' }, true],
  ['a label of another value', { matchLabels: { a: '1' } }, { a: '2' }, false],
  ['a label that is missing', { matchLabels: { a: '1' } }, {}, false],
  ['a name that every JavaScript object has', { matchLabels: { toString: '1' } }, {}, false],
  ['In', expression('In', ['web', 'db']), { tier: 'db' }, true],
  ['In of others', expression('In', ['web']), { tier: 'db' }, false],
  ['In where the label is missing', expression('In', ['web']), {}, false],
  ['NotIn of others', expression('NotIn', ['web']), { tier: 'db' }, true],
  ['NotIn', expression('NotIn', ['web']), { tier: 'web' }, false],
  ['NotIn where the label is missing', expression('NotIn', ['web']), {}, true],
  ['Exists', expression('Exists'), { tier: '' }, true],
  ['Exists where the label is missing', expression('Exists'), {}, false],
  ['DoesNotExist', expression('DoesNotExist'), {}, true],
  ['DoesNotExist where the label is there', expression('DoesNotExist'), { tier: 'x' }, false],
  ['both parts, one of which fails', { matchLabels: { a: '1' }, ...expression('Exists') }, { a: '1' }, false],
] as const)('%s', ([, spec, labels, want]) => {
  expect(selects(spec as never, labels as never)).toBe(want);
});

it.for([
  [expression('Equals', ['a']), 'operator "Equals" of label tier is not In, NotIn, Exists or DoesNotExist'],
  [expression('In'), 'In of label tier needs values'],
  [expression('NotIn', []), 'NotIn of label tier needs values'],
  [expression('Exists', ['a']), 'Exists of label tier takes no values'],
] as const)('refuses an expression that cannot be one: %o', ([spec, reason]) => {
  expect(() => createLabelSelector(spec as never)).toThrow(reason);
});

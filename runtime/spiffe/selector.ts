// Selectors: what an attestor found out about a node or a process, as a type and a value.
import { SpiffeError } from './errors.ts';

export interface Selector {
  readonly type: string;
  readonly value: string;
}

/** `type:value`; the value may itself contain colons. */
export function parseSelector(text: string): Selector {
  const colon = text.indexOf(':');
  if (colon === -1) {
    throw new SpiffeError('SELECTOR_FORMAT', `selector ${JSON.stringify(text)} must be formatted as type:value`);
  }
  const selector = { type: text.slice(0, colon), value: text.slice(colon + 1) };
  checkSelector(selector);
  return selector;
}

/** Throws unless the two parts, which came separately over the wire, make a selector. */
export function checkSelector({ type, value }: Selector): void {
  if (type === '') throw new SpiffeError('SELECTOR_TYPE_MISSING', 'missing selector type');
  if (type.includes(':')) throw new SpiffeError('SELECTOR_TYPE_COLON', "selector type contains ':'");
  if (value === '') throw new SpiffeError('SELECTOR_VALUE_MISSING', 'missing selector value');
}

export function formatSelector({ type, value }: Selector): string {
  return `${type}:${value}`;
}

export function compareSelectors(a: Selector, b: Selector): number {
  return compareText(a.type, b.type) || compareText(a.value, b.value);
}

/** A sorted copy without duplicates. */
export function sortSelectors(selectors: readonly Selector[]): Selector[] {
  const sorted = [...selectors].sort(compareSelectors);
  return sorted.filter((selector, i) => {
    const previous = sorted[i - 1];
    return previous === undefined || compareSelectors(previous, selector) !== 0;
  });
}

/** Whether every wanted selector is among those a node or a process has. The empty set is a subset of every set. */
export function isSubset(wanted: readonly Selector[], have: readonly Selector[]): boolean {
  return wanted.every((selector) => have.some((other) => compareSelectors(selector, other) === 0));
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

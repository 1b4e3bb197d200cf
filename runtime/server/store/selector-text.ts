// Selectors as the database keeps them: `type:value` in one text, since no type holds a colon.
import { formatSelector, sortSelectors } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';

/** Sorted, without duplicates. */
export function encodeSelectors(selectors: readonly Selector[]): string[] {
  return sortSelectors(selectors).map(formatSelector);
}

export function decodeSelectors(texts: readonly string[]): Selector[] {
  return texts.map((text) => {
    const colon = text.indexOf(':');
    return { type: text.slice(0, colon), value: text.slice(colon + 1) };
  });
}

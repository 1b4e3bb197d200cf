// Entries that stay in memory hold much that is the same: parents, selectors, lists with nothing in them. Here equal values become one value.
import type { Selector } from '../../spiffe/selector.ts';
import type { EntryRecord } from './records.ts';

const nothing: readonly never[] = [];

/** What makes equal values of the entries that are given to it one. To be let go with the batch that it was made for. */
export function createSharing(): (entry: EntryRecord) => EntryRecord {
  const texts = new Map<string, string>();
  const selectors = new Map<string, Selector>();

  const sharedText = (text: string): string => {
    const known = texts.get(text);
    if (known === undefined) texts.set(text, text);
    return known ?? text;
  };
  const sharedSelector = ({ type, value }: Selector): Selector => {
    const key = `${type}:${value}`;
    const known = selectors.get(key);
    if (known !== undefined) return known;
    const selector = { type: sharedText(type), value };
    selectors.set(key, selector);
    return selector;
  };
  const sharedTexts = (list: readonly string[]): readonly string[] =>
    list.length === 0 ? nothing : list.map(sharedText);

  return (entry) => ({
    ...entry,
    parentId: sharedText(entry.parentId),
    selectors: entry.selectors.map(sharedSelector),
    federatesWith: sharedTexts(entry.federatesWith),
    dnsNames: sharedTexts(entry.dnsNames),
  });
}

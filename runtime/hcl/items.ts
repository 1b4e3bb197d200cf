// The items of one object as they gather, in HCL and in its JSON form. Refused is what would silently lose a setting: a key that is set twice.
import type { HclSource } from './errors.ts';
import { isHclObject } from './value.ts';
import type { HclObject, HclValue } from './value.ts';

/** Deeper text is no configuration, and must not exhaust the stack. */
export const maxDepth = 64;

export interface Items {
  readonly values: Map<string, HclValue>;
  /** Those of the values that are blocks, and so may come again. */
  readonly blocks: Map<string, HclObject[]>;
}

/** Blocks of the same name gather in a list, each with its labels as nested blocks; anything else stands once. */
export function addItem(
  source: HclSource,
  { values, blocks }: Items,
  offset: number,
  [key, ...labels]: [string, ...string[]],
  value: HclValue,
): void {
  const siblings = blocks.get(key);
  if (values.has(key) && (siblings === undefined || !isHclObject(value))) {
    throw source.errorAt(offset, `${JSON.stringify(key)} is set twice`);
  }
  if (!isHclObject(value)) {
    values.set(key, value);
    return;
  }
  const block = labels.reduceRight<HclObject>((inner, label) => Object.fromEntries([[label, [inner]]]), value);
  if (siblings !== undefined) {
    siblings.push(block);
    return;
  }
  const list = [block];
  values.set(key, list);
  blocks.set(key, list);
}

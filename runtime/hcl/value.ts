// What a configuration file holds once it is read: HCL1's values as plain data.

/** A block is a list of objects even when it stands once: HCL1 cannot tell one block from the first of several. */
export type HclValue = string | number | boolean | HclValue[] | HclObject;

export interface HclObject {
  readonly [key: string]: HclValue;
}

export function isHclObject(value: HclValue | undefined): value is HclObject {
  return typeof value === 'object' && !Array.isArray(value);
}

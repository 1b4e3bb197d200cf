// The kinds of flags, and how each kind reads its value.
import { parseDuration } from '../spiffe/duration.ts';

interface Described {
  readonly help: string;
}

export type FlagSpec =
  | (Described & { readonly kind: 'string'; readonly default?: string })
  | (Described & { readonly kind: 'boolean'; readonly default?: boolean })
  /** A whole number. */
  | (Described & { readonly kind: 'number'; readonly default?: number })
  /** Written as Go does, `1h30m`; the value is milliseconds. */
  | (Described & { readonly kind: 'duration'; readonly default?: number })
  /** May be given several times. */
  | (Described & { readonly kind: 'list'; readonly default?: readonly string[] });

export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

/** A boolean is false and a list empty unless given; anything else is undefined, unless it has a default. */
export type FlagValues<S extends FlagSpecs> = { readonly [Name in keyof S]: FlagValue<S[Name]> };

type FlagValue<F extends FlagSpec> = F['kind'] extends 'boolean'
  ? boolean
  : F['kind'] extends 'list'
    ? readonly string[]
    : Scalar<F['kind']> | (F extends { readonly default: string | number } ? never : undefined);

type Scalar<K extends FlagSpec['kind']> = K extends 'string' ? string : number;

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
]);

/** Throws with the reason alone: the caller names the flag and the text. */
export function parseFlagValue(kind: Exclude<FlagSpec['kind'], 'list'>, text: string): string | boolean | number {
  if (kind === 'string') return text;
  if (kind === 'boolean') return parseBoolean(text);
  return kind === 'number' ? parseInteger(text) : parseDuration(text);
}

function parseBoolean(text: string): boolean {
  const value = booleans.get(text);
  if (value === undefined) throw new Error('parse error');
  return value;
}

function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new Error('parse error');
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error('value out of range');
  return value;
}

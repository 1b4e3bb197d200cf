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
  | (Described & {
      readonly kind: 'duration';
      readonly default?: number;
      /** Read by SPIRE's own type: `value` in the usage, and a text that is no duration is refused with its reason. */
      readonly hasReason?: true;
    })
  /** Text that the flag itself reads, knowing what it was given before; undefined for the first time. Throws with the reason. */
  | (Described & {
      readonly kind: 'value';
      readonly default: string;
      readonly read: (text: string, previous: string | undefined) => string;
    })
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

type Scalar<K extends FlagSpec['kind']> = K extends 'string' | 'value' ? string : number;

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
]);

/** Throws with the reason alone: the caller names the flag and the text. */
export function parseFlagValue(kind: 'string' | 'boolean' | 'number', text: string): string | boolean | number {
  if (kind === 'string') return text;
  if (kind === 'boolean') return parseBoolean(text);
  return parseInteger(text);
}

/** Go's flag package keeps the reason to itself, SPIRE's type does not. */
export function parseDurationFlag(text: string, hasReason = false): number {
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new Error(hasReason && cause instanceof Error ? `time: ${cause.message}` : 'parse error', { cause });
  }
}

function parseBoolean(text: string): boolean {
  const value = booleans.get(text);
  if (value === undefined) throw new Error('parse error');
  return value;
}

/** Decimal, or with a prefix as in Go: `0x1f`, `0b1`, `0o17`, `017`. */
const integer = /^([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/;

function parseInteger(text: string): number {
  const [, sign, digits] = integer.exec(text) ?? [];
  if (digits === undefined) throw new Error('parse error');
  const magnitude = Number(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
  const value = sign === '-' ? -magnitude : magnitude;
  if (!Number.isSafeInteger(value)) throw new Error('value out of range');
  return value;
}

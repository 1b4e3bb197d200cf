// Command line flags as Go programs take them, since SPIRE's commands do: `-name value`, `-name=value`, `--name`, booleans without
// a value. Parsing ends at the first argument that is no flag. Callers print the usage and exit with 2 on a FlagError.
import { parseDurationFlag, parseFlagValue } from './flag-values.ts';
import type { FlagSpec, FlagSpecs, FlagValues } from './flag-values.ts';

export type { FlagSpec, FlagSpecs, FlagValues } from './flag-values.ts';
export { formatUsage } from './flag-usage.ts';

export type FlagErrorCode = 'HELP' | 'SYNTAX' | 'UNKNOWN' | 'MISSING_VALUE' | 'INVALID_VALUE';

export class FlagError extends Error {
  readonly code: FlagErrorCode;

  constructor(code: FlagErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'FlagError';
    this.code = code;
  }
}

export interface ParsedFlags<S extends FlagSpecs> {
  readonly values: FlagValues<S>;
  /** The flags that were on the command line: they override a configuration file, defaults do not. */
  readonly given: ReadonlySet<keyof S & string>;
  /** The arguments after the flags. */
  readonly rest: readonly string[];
}

export function parseFlags<const S extends FlagSpecs>(argv: readonly string[], spec: S): ParsedFlags<S> {
  const values = new Map<string, unknown>(Object.entries(spec).map(([name, flag]) => [name, defaultOf(flag)]));
  const given = new Set<string>();
  let next = 0;
  while (next < argv.length) {
    const argument = argv[next];
    if (argument === undefined || argument === '-' || !argument.startsWith('-')) break;
    next += 1;
    if (argument === '--') break;
    const { name, value: attached } = splitFlag(argument);
    const flag = Object.hasOwn(spec, name) ? spec[name] : undefined;
    if (flag === undefined) throw unknownFlag(name);
    const isBare = attached === undefined && flag.kind === 'boolean';
    const text = isBare ? 'true' : (attached ?? argv[next]);
    if (text === undefined) throw new FlagError('MISSING_VALUE', `flag needs an argument: -${name}`);
    if (!isBare && attached === undefined) next += 1;
    const previous = given.has(name) ? values.get(name) : undefined;
    values.set(name, valueOf(name, flag, text, previous));
    given.add(name);
  }
  return { values: Object.fromEntries(values) as FlagValues<S>, given, rest: argv.slice(next) };
}

function splitFlag(argument: string): { name: string; value: string | undefined } {
  const body = argument.slice(argument.startsWith('--') ? 2 : 1);
  if (body === '' || body.startsWith('-') || body.startsWith('=')) {
    throw new FlagError('SYNTAX', `bad flag syntax: ${argument}`);
  }
  const equals = body.indexOf('=');
  return equals === -1
    ? { name: body, value: undefined }
    : { name: body.slice(0, equals), value: body.slice(equals + 1) };
}

function unknownFlag(name: string): FlagError {
  if (name === 'help' || name === 'h') return new FlagError('HELP', 'help requested');
  return new FlagError('UNKNOWN', `flag provided but not defined: -${name}`);
}

/** A list grows with every flag; of anything else, the last flag wins. */
function valueOf(name: string, flag: FlagSpec, text: string, previous: unknown): unknown {
  if (flag.kind === 'list') return [...((previous as readonly string[] | undefined) ?? []), text];
  try {
    if (flag.kind === 'value') return flag.read(text, previous as string | undefined);
    if (flag.kind === 'duration') return parseDurationFlag(text, flag.hasReason);
    return parseFlagValue(flag.kind, text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const what = flag.kind === 'boolean' ? 'boolean value' : 'value';
    const flagName = flag.kind === 'boolean' ? `-${name}` : `flag -${name}`;
    throw new FlagError('INVALID_VALUE', `invalid ${what} ${JSON.stringify(text)} for ${flagName}: ${reason}`, {
      cause,
    });
  }
}

function defaultOf(flag: FlagSpec): unknown {
  if (flag.default !== undefined) return flag.default;
  if (flag.kind === 'boolean') return false;
  return flag.kind === 'list' ? [] : undefined;
}

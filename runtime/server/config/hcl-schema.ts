// Schema pieces for values as HCL1 gives them: blocks are lists, numbers may stand in quotes, durations are Go's. Faults come out as one list.
import * as z from 'zod';
import { parseDuration } from '../../spiffe/duration.ts';

/** A block that may stand once. */
export function block<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value), schema);
}

/** Text that a parser turns into a checked value; what it throws is the fault. */
export function parsed<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

export const text = z.union([z.string(), z.number().transform(String)], { error: 'want text' });

export const wholeNumber = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], { error: 'want a whole number' })
  .refine((value) => Number.isSafeInteger(value) && value >= 0, { error: 'want a whole number' });

export const port = wholeNumber.refine((value) => value <= 65_535, { error: 'want a port number' });

export const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')], {
  error: 'want true or false',
});

/** Milliseconds; zero is refused, since no setting of ours means it. */
export const duration = parsed((value) => {
  const ms = parseDuration(value);
  if (ms <= 0) throw new Error(`want a positive duration, got "${value}"`);
  return ms;
});

export const durationOrZero = parsed((value) => {
  const ms = parseDuration(value);
  if (ms < 0) throw new Error(`want no negative duration, got "${value}"`);
  return ms;
});

/** One line for each fault, with the place it is at: `server.bind_port: want a port number`. */
export function faultsOf(error: z.ZodError, place: readonly string[] = []): string[] {
  return error.issues.flatMap((issue) => {
    const path = [...place, ...issue.path.filter((part) => typeof part === 'string')].join('.');
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => `${path === '' ? key : `${path}.${key}`}: unknown key`);
    if (issue.message.endsWith('must be configured') || path === '') return [issue.message];
    return [`${path}: ${issue.message}`];
  });
}

/** Why the program does not start: every fault that was found, one a line. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[], options?: ErrorOptions) {
    super(
      faults.length === 1 ? String(faults[0]) : `configuration has ${faults.length} faults:\n  ${faults.join('\n  ')}`,
      options,
    );
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

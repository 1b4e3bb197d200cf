// `-output`, as SPIRE's commands take it: one form, which may be said twice but not contradicted.
import type { FlagSpecs } from './flag-values.ts';

export const outputFlag = {
  output: {
    kind: 'value',
    default: 'pretty',
    help: 'Desired output format (pretty, json); default: pretty.',
    read: readOutput,
  },
} as const satisfies FlagSpecs;

function readOutput(text: string, previous: string | undefined): string {
  if (previous !== undefined && previous !== text)
    throw new Error(`the output format has already been set to ${JSON.stringify(previous)}`);
  const lower = text.toLowerCase();
  if (lower === 'json') return 'json';
  if (lower === 'pretty' || lower === 'prettyprint') return 'pretty';
  throw new Error(`bad formatter flag: unknown format option: ${JSON.stringify(text)}`);
}

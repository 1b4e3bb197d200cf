// The usage text of a command, as Go's flag package prints it: flags sorted by name, help below, default at the end.
import { formatDuration } from '../spiffe/duration.ts';
import type { FlagSpec, FlagSpecs } from './flag-values.ts';

const typeNames = {
  string: ' string',
  boolean: '',
  number: ' int',
  duration: ' duration',
  list: ' value',
  value: ' value',
} as const;

export function formatUsage(command: string, spec: FlagSpecs): string {
  const flags = Object.entries(spec)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => `  -${name}${typeNameOf(flag)}\n    \t${flag.help}${describeDefault(flag)}\n`);
  return `Usage of ${command}:\n${flags.join('')}`;
}

function typeNameOf(flag: FlagSpec): string {
  return flag.kind === 'duration' && flag.hasReason === true ? ' value' : typeNames[flag.kind];
}

/** A default that says nothing (false, zero, empty) is not printed. */
function describeDefault(flag: FlagSpec): string {
  const value = flag.default;
  // Go compares such a flag with its zero value, which is its default.
  if (flag.kind === 'value') return '';
  if (value === undefined || value === false || value === 0 || value === '') return '';
  if (typeof value === 'string') return ` (default ${JSON.stringify(value)})`;
  if (flag.kind === 'duration') return ` (default ${formatDuration(flag.default ?? 0)})`;
  if (typeof value === 'object') return value.length === 0 ? '' : ` (default ${value.join(',')})`;
  return ` (default ${value})`;
}

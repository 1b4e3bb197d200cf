// Reads a plugin's configuration by a schema: unknown keys are refused and all faults are reported together, each with its key.
import * as z from 'zod';
import { PluginConfigError } from './plugin-config-error.ts';
import type { PluginData } from './plugin-config-error.ts';

export { PluginConfigError };
export type { PluginData };

export function parsePluginConfig<T extends z.ZodType>(plugin: string, schema: T, data: PluginData): z.output<T> {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  throw new PluginConfigError(plugin, result.error.issues.map(faultOf));
}

/** A block that may stand once: HCL1 reads `name { … }` as a list, `name = { … }` too. */
export function block<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value), schema);
}

function faultOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}`;
  const path = issue.path.filter((part) => typeof part === 'string').join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}

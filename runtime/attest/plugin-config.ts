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

/** Blocks by name, in one place or in several, as HCL1 and JSON both have them: `clusters = { "a" = { … } }`, `"clusters": [{ "a": { … } }, { "b": { … } }]`. */
export function namedBlocks<T extends z.ZodType>(schema: T) {
  return z.preprocess(
    (value, context) => {
      if (!Array.isArray(value) || !value.every(isObject)) return value;
      const pairs = value.flatMap((part) => Object.entries(part));
      const names = pairs.map(([name]) => name);
      for (const name of names.filter((one, index) => names.indexOf(one) !== index))
        context.addIssue({ code: 'custom', message: `${JSON.stringify(name)} is configured twice` });
      return Object.fromEntries(pairs);
    },
    z.record(z.string(), block(schema)),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function faultOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}`;
  const path = issue.path.filter((part) => typeof part === 'string').join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}

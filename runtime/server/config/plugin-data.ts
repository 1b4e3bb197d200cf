// What stands in a plugin's plugin_data, held to the plugin's own schema.
import type * as z from 'zod';
import { ConfigError, faultsOf } from './hcl-schema.ts';
import type { PluginConfig } from './plugins-section.ts';

/** Throws a ConfigError with every fault and its place. */
export function readPluginData<T extends z.ZodType>({ type, name, data }: PluginConfig, schema: T): z.output<T> {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  throw new ConfigError(faultsOf(result.error, ['plugins', `${type}.${name}`, 'plugin_data']));
}

// The `plugins` section: `<Type> "<name>" { plugin_data { … } }`. Says which plugins are asked for and how many of a type there may be; what stands
// in plugin_data is each plugin's own matter, except the store's, which is read here.
import * as z from 'zod';
import type { HclObject, HclValue } from '../../hcl/value.ts';
import { isHclObject } from '../../hcl/value.ts';
import { duration, faultsOf, flag, text, wholeNumber } from './hcl-schema.ts';

export interface PluginConfig {
  readonly type: string;
  readonly name: string;
  readonly data: HclObject;
  /** Where the data is read from, and read again when the operator says so; absent where it stands in the configuration. */
  readonly dataFile?: string;
}

/** Reads a file that holds a plugin's data; throws with the reason. */
export type LoadData = (path: string) => HclObject;

export interface DataStoreConfig {
  readonly connectionString: string;
  /** Of a replica that answers reads which may be a moment old. */
  readonly readOnlyConnectionString?: string;
  readonly maxConnections?: number;
  readonly maxIdleConnections?: number;
  /** A connection older than this is closed once it is idle (ms). */
  readonly connectionLifetimeMs?: number;
  /** The schema is brought up to date by somebody else. */
  readonly disableMigration: boolean;
}

export interface PluginsConfig {
  readonly dataStore: DataStoreConfig;
  readonly keyManager: PluginConfig;
  readonly nodeAttestors: readonly PluginConfig[];
  readonly upstreamAuthority?: PluginConfig;
  readonly bundlePublishers: readonly PluginConfig[];
}

/** Types that SPIRE has and we do not yet: refused rather than left out, because a server without them is another server. */
const unsupportedTypes = ['CredentialComposer', 'Notifier'];
const pluginTypes = ['BundlePublisher', 'DataStore', 'KeyManager', 'NodeAttestor', 'UpstreamAuthority'];

const pluginBlock = z.strictObject({
  enabled: flag.default(true),
  plugin_data: z.unknown().optional(),
  plugin_cmd: z.undefined({ error: 'external plugins are not supported' }).optional(),
  plugin_checksum: z.undefined({ error: 'external plugins are not supported' }).optional(),
  plugin_args: z.undefined({ error: 'external plugins are not supported' }).optional(),
  plugin_data_file: text.optional(),
});

/** The pool needs one, and the listener for changes has one of its own. */
const atLeastOne = wholeNumber.refine((value) => value > 0, { error: 'want at least 1' });

const sqlData = z.strictObject({
  database_type: z.literal('postgres', { error: 'only "postgres" is supported' }),
  connection_string: text.refine((value) => value !== '', { error: 'connection_string must be set' }),
  ro_connection_string: text.optional(),
  max_open_conns: atLeastOne.optional(),
  max_idle_conns: wholeNumber.optional(),
  conn_max_lifetime: duration.optional(),
  disable_migration: flag.default(false),
});

/** Adds what is wrong to `faults`; the result is there only where nothing was. */
export function readPlugins(
  section: HclValue | undefined,
  faults: string[],
  load: LoadData,
): PluginsConfig | undefined {
  const before = faults.length;
  const sections = section === undefined ? [] : listOf(section);
  if (sections.length === 0) faults.push('plugins section must be configured');
  const plugins = sections.flatMap((one) => readSection(one, faults, load));

  const dataStore = exactlyOne('DataStore', plugins, faults);
  const keyManager = exactlyOne('KeyManager', plugins, faults);
  const upstreams = plugins.filter(({ type }) => type === 'UpstreamAuthority');
  if (upstreams.length > 1) faults.push('plugins.UpstreamAuthority: at most one can be configured');
  const database = dataStore && readDataStore(dataStore, faults);
  if (faults.length > before || database === undefined || keyManager === undefined) return undefined;
  const [upstreamAuthority] = upstreams;
  return {
    dataStore: database,
    keyManager,
    nodeAttestors: plugins.filter(({ type }) => type === 'NodeAttestor'),
    bundlePublishers: plugins.filter(({ type }) => type === 'BundlePublisher'),
    ...(upstreamAuthority === undefined ? {} : { upstreamAuthority }),
  };
}

/** A list of blocks, or the one object that stands for it. */
function listOf(value: HclValue): HclObject[] {
  if (Array.isArray(value)) return value.filter(isHclObject);
  return isHclObject(value) ? [value] : [];
}

function readSection(section: HclObject, faults: string[], load: LoadData): PluginConfig[] {
  return Object.entries(section).flatMap(([type, blocks]) => {
    if (unsupportedTypes.includes(type)) faults.push(`plugins.${type}: not supported`);
    else if (!pluginTypes.includes(type)) faults.push(`plugins.${type}: unknown plugin type`);
    else return listOf(blocks).flatMap((named) => readNamed(type, named, faults, load));
    return [];
  });
}

function readNamed(type: string, named: HclObject, faults: string[], load: LoadData): PluginConfig[] {
  return Object.entries(named).flatMap(([name, value]) => {
    const [body] = listOf(value);
    const result = pluginBlock.safeParse(body);
    if (body === undefined || !result.success) {
      faults.push(...(result.error === undefined ? [] : faultsOf(result.error, ['plugins', `${type}.${name}`])));
      return [];
    }
    if (!result.data.enabled) return [];
    const place = `plugins.${type}.${name}.plugin_data_file`;
    const { plugin_data_file: dataFile } = result.data;
    const data = body['plugin_data'];
    if (dataFile !== undefined) {
      if (data !== undefined) faults.push(`${place}: only one of [plugin_data, plugin_data_file] can be used`);
      try {
        return [{ type, name, data: load(dataFile), dataFile }];
      } catch (error) {
        faults.push(`${place}: ${error instanceof Error ? error.message : String(error)}`);
        return [];
      }
    }
    const [first] = data === undefined ? [] : listOf(data);
    return [{ type, name, data: first ?? {} }];
  });
}

function exactlyOne(type: string, plugins: readonly PluginConfig[], faults: string[]): PluginConfig | undefined {
  const [found, ...others] = plugins.filter((plugin) => plugin.type === type);
  if (found === undefined || others.length > 0)
    faults.push(`plugins.${type}: exactly one must be configured, found ${others.length + (found ? 1 : 0)}`);
  return found;
}

function readDataStore({ name, data }: PluginConfig, faults: string[]): PluginsConfig['dataStore'] | undefined {
  const result = sqlData.safeParse(data);
  if (name !== 'sql') faults.push(`plugins.DataStore.${name}: only "sql" is supported`);
  if (!result.success) {
    faults.push(...faultsOf(result.error, ['plugins', `DataStore.${name}`, 'plugin_data']));
    return undefined;
  }
  const { connection_string: connectionString, disable_migration: disableMigration, ...rest } = result.data;
  const { ro_connection_string: readOnly, max_open_conns: open, max_idle_conns: idle, conn_max_lifetime: life } = rest;
  return {
    connectionString,
    disableMigration,
    ...(readOnly === undefined || readOnly === '' ? {} : { readOnlyConnectionString: readOnly }),
    ...(open === undefined ? {} : { maxConnections: open }),
    ...(idle === undefined ? {} : { maxIdleConnections: idle }),
    ...(life === undefined ? {} : { connectionLifetimeMs: life }),
  };
}

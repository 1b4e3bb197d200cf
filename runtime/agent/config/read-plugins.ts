// The block `plugins { … }` of an agent's configuration: which plugins there are and how many of each type there may be.
import type { HclReader } from '../../hcl/reader.ts';
import type { KeyStoreConfig, PluginConfig } from './agent-config.ts';

export interface AgentPlugins {
  readonly nodeAttestor: PluginConfig | undefined;
  readonly keyStore: KeyStoreConfig;
  readonly workloadAttestors: readonly PluginConfig[];
}

type PluginType = 'NodeAttestor' | 'KeyManager' | 'WorkloadAttestor';

export function readPlugins(plugins: HclReader): AgentPlugins {
  const [nodeAttestor, ...otherAttestors] = readType(plugins, 'NodeAttestor');
  if (otherAttestors.length > 0) plugins.fault('NodeAttestor', 'must stand once');
  const [keyManager, ...otherManagers] = readType(plugins, 'KeyManager');
  if (keyManager === undefined || otherManagers.length > 0) plugins.fault('KeyManager', 'must stand once');
  const workloadAttestors = readType(plugins, 'WorkloadAttestor');
  if (workloadAttestors.length === 0) plugins.fault('WorkloadAttestor', 'must stand at least once');
  return { nodeAttestor, keyStore: keyStoreOf(plugins, keyManager), workloadAttestors };
}

function readType(plugins: HclReader, type: PluginType): PluginConfig[] {
  return plugins.labelledBlocks(type).flatMap(({ label, reader }) => {
    if (reader.optionalString('plugin_cmd') !== undefined)
      reader.fault('plugin_cmd', 'external plugins are not supported');
    reader.optionalString('plugin_checksum');
    reader.optionalStrings('plugin_args');
    const data = reader.object('plugin_data');
    return reader.optionalBoolean('enabled') === false ? [] : [{ name: label, data }];
  });
}

function keyStoreOf(plugins: HclReader, plugin: PluginConfig | undefined): KeyStoreConfig {
  if (plugin?.name !== 'disk') {
    if (plugin !== undefined && plugin.name !== 'memory')
      plugins.fault(`KeyManager "${plugin.name}"`, 'no such key manager');
    return { kind: 'memory' };
  }
  const { directory, ...others } = plugin.data;
  for (const key of Object.keys(others)) plugins.fault(`KeyManager "disk".plugin_data.${key}`, 'unknown key');
  if (typeof directory === 'string' && directory !== '') return { kind: 'disk', directory };
  plugins.fault('KeyManager "disk".plugin_data.directory', 'must be configured');
  return { kind: 'memory' };
}

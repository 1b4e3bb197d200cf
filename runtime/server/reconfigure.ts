// Plugins whose data stands in a file of its own (`plugin_data_file`) take it anew when the operator says so. A node attestor is replaced between two
// nodes; another plugin holds keys or connections, and says that it needs a restart.
import type { ServerAttestor } from '../attest/attestor.ts';
import type { Logger } from '../log.ts';
import type { LoadData, PluginConfig } from './config/plugins-section.ts';
import type { ServerConfig } from './config/server-config.ts';
import type { AttestorSurroundings } from './plugins.ts';
import { createAttestors } from './plugins.ts';

export interface ReloadableAttestors {
  readonly attestors: readonly ServerAttestor[];
  /** Reads the files again. A file that cannot be used leaves the plugin as it was. */
  readonly reconfigure: () => void;
}

export interface ReloadOptions extends AttestorSurroundings {
  readonly config: ServerConfig;
  readonly load: LoadData;
}

export function createReloadableAttestors({ config, load, ...around }: ReloadOptions): ReloadableAttestors {
  const current = new Map(createAttestors(config, around).map((attestor) => [attestor.type, attestor]));
  const loaded = new Map<PluginConfig, string>();
  const { nodeAttestors, keyManager, upstreamAuthority, bundlePublishers } = config.plugins;

  const replace = (plugin: PluginConfig): void => {
    const plugins = { ...config.plugins, nodeAttestors: [plugin] };
    for (const attestor of createAttestors({ ...config, plugins }, around)) current.set(attestor.type, attestor);
  };

  const reconfigure = (plugin: PluginConfig, dataFile: string, log: Logger): void => {
    const data = load(dataFile);
    const text = JSON.stringify(data);
    if (text === (loaded.get(plugin) ?? JSON.stringify(plugin.data))) return;
    if (plugin.type !== 'NodeAttestor') {
      log.warn('Plugin cannot be reconfigured while the server runs: restart it');
      return;
    }
    replace({ ...plugin, data });
    loaded.set(plugin, text);
    log.info('Plugin reconfigured');
  };

  return {
    attestors: [...current.keys()].map((type) => ({
      type,
      attest(...evidence) {
        const attestor = current.get(type);
        if (attestor === undefined) throw new Error(`no attestor ${type}`);
        return attestor.attest(...evidence);
      },
    })),
    reconfigure() {
      for (const plugin of [
        ...nodeAttestors,
        keyManager,
        ...(upstreamAuthority === undefined ? [] : [upstreamAuthority]),
        ...bundlePublishers,
      ]) {
        if (plugin.dataFile === undefined) continue;
        const log = around.log.child({ plugin_type: plugin.type, plugin_name: plugin.name });
        try {
          reconfigure(plugin, plugin.dataFile, log);
        } catch (error) {
          log.error({ err: error }, 'Failed to reconfigure plugin');
        }
      }
    },
  };
}

// Makes the configured plugins: key manager, node attestors; the upstream authority has a file of its own. A plugin that we do not have is a fault of the configuration.
import { resolve } from 'node:path';
import { pino } from 'pino';
import * as z from 'zod';
import type { ServerAttestor } from '../attest/attestor.ts';
import { PluginConfigError } from '../attest/plugin-config.ts';
import { createServerAttestor, serverAttestorTypes } from '../attest/server-attestors.ts';
import type { Logger } from '../log.ts';
import { joinTokenType } from './attestation.ts';
import { ConfigError, text } from './config/hcl-schema.ts';
import { readPluginData } from './config/plugin-data.ts';
import type { PluginConfig } from './config/plugins-section.ts';
import type { ServerConfig } from './config/server-config.ts';
import { openDiskKeyManager } from './keys/disk.ts';
import type { KeyManager } from './keys/key-manager.ts';
import { createMemoryKeyManager } from './keys/memory.ts';
import { createBundlePublishers } from './publisher-plugins.ts';
import { checkUpstream } from './upstream-plugins.ts';

const diskKeys = z.strictObject({ keys_path: text.refine((path) => path !== '', { error: 'keys_path must be set' }) });
const noData = z.strictObject({});

/** Throws a ConfigError for a key manager that does not exist or whose data does not hold. */
export function checkKeyManager(
  plugin: PluginConfig,
): { readonly kind: 'memory' } | { readonly kind: 'disk'; readonly path: string } {
  if (plugin.name === 'memory') {
    readPluginData(plugin, noData);
    return { kind: 'memory' };
  }
  if (plugin.name === 'disk') return { kind: 'disk', path: resolve(readPluginData(plugin, diskKeys).keys_path) };
  throw new ConfigError([`plugins.KeyManager.${plugin.name}: no such key manager`]);
}

export async function openKeyManager(plugin: PluginConfig): Promise<KeyManager> {
  const checked = checkKeyManager(plugin);
  return checked.kind === 'memory' ? createMemoryKeyManager() : openDiskKeyManager({ path: checked.path });
}

export interface AttestorSurroundings {
  readonly log: Logger;
  readonly clock: () => number;
  readonly x509Authorities?: () => Promise<readonly Uint8Array[]>;
}

/** join_token is not among them: the store attests by it, configured or not, as in SPIRE. */
export function createAttestors(
  { plugins, trustDomain }: ServerConfig,
  around: AttestorSurroundings,
): ServerAttestor[] {
  const faults: string[] = [];
  const attestors = plugins.nodeAttestors.flatMap(({ name, data }) => {
    if (name === joinTokenType) return [];
    if (!serverAttestorTypes.includes(name)) {
      faults.push(`plugins.NodeAttestor.${name}: no such node attestor`);
      return [];
    }
    try {
      return [
        createServerAttestor(name, data, { trustDomain, ...around, log: around.log.child({ plugin_name: name }) }),
      ];
    } catch (error) {
      if (!(error instanceof PluginConfigError)) throw error;
      faults.push(...error.faults.map((fault) => `plugins.NodeAttestor.${name}: ${fault}`));
      return [];
    }
  });
  const names = plugins.nodeAttestors.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  faults.push(...twice.map((name) => `plugins.NodeAttestor.${name}: configured twice`));
  if (faults.length > 0) throw new ConfigError(faults);
  return attestors;
}

/** Every plugin's data, without opening anything; throws a ConfigError with all faults. */
export function checkPlugins(config: ServerConfig): void {
  const faults: string[] = [];
  const collect = (check: () => unknown): void => {
    try {
      check();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults);
    }
  };
  const { keyManager, upstreamAuthority } = config.plugins;
  collect(() => checkKeyManager(keyManager));
  collect(() => upstreamAuthority && checkUpstream(upstreamAuthority));
  collect(() => createBundlePublishers(config.plugins, pino({ level: 'silent' })));
  collect(() =>
    createAttestors(config, {
      log: pino({ level: 'silent' }),
      clock: Date.now,
      x509Authorities: () => Promise.resolve([]),
    }),
  );
  if (faults.length > 0) throw new ConfigError(faults);
}

// Makes the configured upstream authority: `disk` or `spire`. Without one, the CA signs itself.
import { resolve } from 'node:path';
import * as z from 'zod';
import type { Logger } from '../log.ts';
import { ConfigError, text } from './config/hcl-schema.ts';
import { readPluginData } from './config/plugin-data.ts';
import type { PluginConfig } from './config/plugins-section.ts';
import type { ServerConfig } from './config/server-config.ts';
import { openDiskUpstream } from './upstream/disk.ts';
import type { DiskCaFiles } from './upstream/disk-ca.ts';
import { createSpireUpstream } from './upstream/spire.ts';
import type { UpstreamAuthority } from './upstream/upstream-authority.ts';

const spireUpstream = z.strictObject({
  server_address: text,
  server_port: text.refine((port) => /^\d{1,5}$/.test(port) && Number(port) <= 65_535, { error: 'want a port number' }),
  workload_api_socket: text,
  experimental: z.unknown().optional(),
});

const diskUpstream = z
  .strictObject({
    cert_file_path: text.default(''),
    key_file_path: text.default(''),
    bundle_file_path: text.default(''),
  })
  .refine(({ cert_file_path: cert, key_file_path: key }) => cert !== '' && key !== '', {
    error: "'cert_file_path' and 'key_file_path' must be set and not empty",
  });

export type UpstreamConfig =
  | {
      readonly kind: 'spire';
      readonly serverAddress: string;
      readonly serverPort: number;
      readonly workloadApiSocket: string;
    }
  | ({ readonly kind: 'disk' } & DiskCaFiles);

/** Throws a ConfigError for an upstream authority that does not exist or whose data does not hold. */
export function checkUpstream(plugin: PluginConfig): UpstreamConfig {
  if (plugin.name === 'spire') {
    const data = readPluginData(plugin, spireUpstream);
    return {
      kind: 'spire',
      serverAddress: data.server_address,
      serverPort: Number(data.server_port),
      workloadApiSocket: data.workload_api_socket,
    };
  }
  if (plugin.name === 'disk') {
    const data = readPluginData(plugin, diskUpstream);
    return {
      kind: 'disk',
      certFilePath: resolve(data.cert_file_path),
      keyFilePath: resolve(data.key_file_path),
      ...(data.bundle_file_path === '' ? {} : { bundleFilePath: resolve(data.bundle_file_path) }),
    };
  }
  throw new ConfigError([`plugins.UpstreamAuthority.${plugin.name}: no such upstream authority`]);
}

/** Empty where the CA is to sign itself: the options of createAuthority that it fills. */
export async function openUpstreamAuthority(
  { plugins: { upstreamAuthority }, trustDomain }: ServerConfig,
  around: { readonly log: Logger; readonly clock: () => number },
): Promise<{ upstream?: UpstreamAuthority }> {
  if (upstreamAuthority === undefined) return {};
  const { kind, ...settings } = checkUpstream(upstreamAuthority);
  const common = { trustDomain, log: around.log.child({ plugin_name: kind }), clock: around.clock };
  return {
    upstream:
      'certFilePath' in settings
        ? await openDiskUpstream({ ...settings, ...common })
        : createSpireUpstream({ ...settings, ...common }),
  };
}

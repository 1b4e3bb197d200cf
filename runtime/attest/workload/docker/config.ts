// Configuration of the workload attestor "docker": SPIRE's keys for Unix, without sigstore.
import * as z from 'zod';
import { parsePluginConfig, PluginConfigError } from '../../plugin-config.ts';
import type { PluginData } from '../../plugin-config.ts';
import { parseCgroupMatchers } from './cgroup-matchers.ts';
import type { CgroupMatchers } from './cgroup-matchers.ts';

export interface DockerConfig {
  readonly dockerSocketPath: string;
  readonly podmanSocketPath: string;
  /** A user's own Podman, by the user's id; undefined where it is not to be believed. */
  readonly podmanSocketOf: ((uid: string) => string) | undefined;
  readonly version: string | undefined;
  readonly matchers: CgroupMatchers | undefined;
  readonly verboseContainerLocatorLogs: boolean;
}

const plugin = 'WorkloadAttestor "docker"';

const unixSocket = z
  .string()
  .regex(/^unix:\/\/\/./, 'must be unix:// and an absolute path')
  .transform((url) => url.slice('unix://'.length));

const schema = z.strictObject({
  docker_socket_path: unixSocket.default('/var/run/docker.sock'),
  podman_socket_path: unixSocket.default('/run/podman/podman.sock'),
  podman_socket_path_template: unixSocket
    .refine(
      (template) => /^(?:[^%]|%%)*%d(?:[^%]|%%)*$/.test(template),
      'must hold %d exactly once, and no other % but %%',
    )
    .optional(),
  docker_version: z
    .string()
    .regex(/^\d+\.\d+$/, 'must be a version of the API, such as 1.44')
    .optional(),
  container_id_cgroup_matchers: z.array(z.string()).default([]),
  use_new_container_locator: z.boolean().default(true),
  verbose_container_locator_logs: z.boolean().default(false),
  sigstore: z.never('signatures of images are not verified here').optional(),
});

export function parseDockerConfig(data: PluginData): DockerConfig {
  const config = parsePluginConfig(plugin, schema, data);
  const template = config.podman_socket_path_template;
  return {
    dockerSocketPath: config.docker_socket_path,
    podmanSocketPath: config.podman_socket_path,
    podmanSocketOf: template === undefined ? undefined : (uid) => fillIn(template, uid),
    version: config.docker_version,
    matchers: matchersOf(config.container_id_cgroup_matchers, config.use_new_container_locator),
    verboseContainerLocatorLogs: config.verbose_container_locator_logs,
  };
}

function fillIn(template: string, uid: string): string {
  return template.replaceAll(/%([d%])/g, (_, kind: string) => (kind === 'd' ? uid : '%'));
}

function matchersOf(patterns: readonly string[], useNewLocator: boolean): CgroupMatchers | undefined {
  if (patterns.length === 0) return undefined;
  if (useNewLocator) {
    throw new PluginConfigError(plugin, [
      'container_id_cgroup_matchers: have an effect only with use_new_container_locator = false',
    ]);
  }
  try {
    return parseCgroupMatchers(patterns);
  } catch (cause) {
    throw new PluginConfigError(plugin, [`container_id_cgroup_matchers: ${(cause as Error).message}`]);
  }
}

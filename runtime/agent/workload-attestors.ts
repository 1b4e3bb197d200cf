// The workload attestors that a configuration names.
import { parsePluginConfig } from '../attest/plugin-config.ts';
import type { PluginData } from '../attest/plugin-config.ts';
import { parseDockerConfig } from '../attest/workload/docker/config.ts';
import { createDockerAttestor } from '../attest/workload/docker/docker.ts';
import { createSystemdAttestor } from '../attest/workload/systemd/systemd.ts';
import { createUnixAttestor } from '../attest/workload/unix.ts';
import type { WorkloadAttestor } from '../attest/workload/attestor.ts';
import type { Logger } from '../log.ts';
import * as z from 'zod';

const unixSchema = z.strictObject({
  discover_workload_path: z.boolean().default(false),
  workload_size_limit: z.number().int().default(0),
});

const systemdSchema = z.strictObject({
  system_bus_socket_path: z.string().startsWith('/').default('/run/dbus/system_bus_socket'),
});

const attestors: ReadonlyMap<string, (data: PluginData, log: Logger) => WorkloadAttestor> = new Map([
  [
    'unix',
    (data) => {
      const config = parsePluginConfig('WorkloadAttestor "unix"', unixSchema, data);
      return createUnixAttestor({
        discoverWorkloadPath: config.discover_workload_path,
        workloadSizeLimit: config.workload_size_limit,
      });
    },
  ],
  [
    'systemd',
    (data) => {
      const config = parsePluginConfig('WorkloadAttestor "systemd"', systemdSchema, data);
      return createSystemdAttestor({
        systemBusSocketPath: config.system_bus_socket_path,
        uid: process.geteuid?.() ?? 0,
      });
    },
  ],
  ['docker', (data, log) => createDockerAttestor({ ...parseDockerConfig(data), log })],
]);

/** Throws where there is no such attestor or its configuration does not hold. */
export function createWorkloadAttestor(name: string, data: PluginData, log: Logger): WorkloadAttestor {
  const create = attestors.get(name);
  if (create === undefined) throw new Error(`WorkloadAttestor "${name}": no such workload attestor`);
  return create(data, log);
}

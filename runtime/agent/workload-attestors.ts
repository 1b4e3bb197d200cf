// The workload attestors that a configuration names. Each is loaded where it is configured: an agent keeps what it loads for as long as it runs.
import { PluginConfigError } from '../attest/plugin-config-error.ts';
import type { WorkloadAttestor } from '../attest/workload/attestor.ts';
import { createHclReader } from '../hcl/reader.ts';
import type { HclReader } from '../hcl/reader.ts';
import type { HclObject } from '../hcl/value.ts';
import type { Logger } from '../log.ts';

type Create = (name: string, data: HclObject, log: Logger) => Promise<WorkloadAttestor>;

const attestors: ReadonlyMap<string, Create> = new Map([
  ['unix', createUnix],
  ['systemd', createSystemd],
  ['docker', createDocker],
  ['k8s', createK8s],
]);

/** Rejects where there is no such attestor or its configuration does not hold. */
export async function createWorkloadAttestor(name: string, data: HclObject, log: Logger): Promise<WorkloadAttestor> {
  const create = attestors.get(name);
  if (create === undefined) throw new Error(`WorkloadAttestor "${name}": no such workload attestor`);
  return create(name, data, log);
}

async function createUnix(name: string, data: HclObject): Promise<WorkloadAttestor> {
  const { createUnixAttestor } = await import('../attest/workload/unix.ts');
  const reader = createHclReader(data);
  const options = {
    discoverWorkloadPath: reader.optionalBoolean('discover_workload_path') ?? false,
    workloadSizeLimit: reader.optionalNumber('workload_size_limit') ?? 0,
  };
  finish(name, reader);
  return createUnixAttestor(options);
}

async function createSystemd(name: string, data: HclObject): Promise<WorkloadAttestor> {
  const { createSystemdAttestor } = await import('../attest/workload/systemd/systemd.ts');
  const reader = createHclReader(data);
  const systemBusSocketPath = reader.optionalString('system_bus_socket_path') ?? '/run/dbus/system_bus_socket';
  if (!systemBusSocketPath.startsWith('/')) reader.fault('system_bus_socket_path', 'must be an absolute path');
  finish(name, reader);
  return createSystemdAttestor({ systemBusSocketPath, uid: process.geteuid?.() ?? 0 });
}

async function createDocker(_name: string, data: HclObject, log: Logger): Promise<WorkloadAttestor> {
  const [{ parseDockerConfig }, { createDockerAttestor }] = await Promise.all([
    import('../attest/workload/docker/config.ts'),
    import('../attest/workload/docker/docker.ts'),
  ]);
  return createDockerAttestor({ ...parseDockerConfig(data), log });
}

async function createK8s(_name: string, data: HclObject, log: Logger): Promise<WorkloadAttestor> {
  const [{ parseK8sConfig }, { createK8sAttestor }] = await Promise.all([
    import('../attest/workload/k8s/config.ts'),
    import('../attest/workload/k8s/k8s.ts'),
  ]);
  return createK8sAttestor({ ...parseK8sConfig(data, { env: process.env }), log });
}

function finish(name: string, reader: HclReader): void {
  const faults = reader.faults().map(({ place, message }) => `${place}: ${message}`);
  if (faults.length > 0) throw new PluginConfigError(`WorkloadAttestor "${name}"`, faults);
}

// Workload attestor "systemd": the unit that systemd counts the process to, and the file that the unit was loaded from.
import type { Selector } from '../../../spiffe/selector.ts';
import type { WorkloadAttestor } from '../attestor.ts';
import { WorkloadAttestError } from '../attestor.ts';
import { createBus } from './bus.ts';
import type { Argument } from './marshal.ts';

export interface SystemdAttestorOptions {
  readonly systemBusSocketPath: string;
  /** Ours: the bus holds it against what the kernel says. */
  readonly uid: number;
}

const type = 'systemd';
const destination = 'org.freedesktop.systemd1';
const unitPaths = '/org/freedesktop/systemd1/unit/';

export function createSystemdAttestor({ systemBusSocketPath, uid }: SystemdAttestorOptions): WorkloadAttestor {
  const bus = createBus(systemBusSocketPath, uid);

  const unitOf = async (pid: number, signal: AbortSignal): Promise<string> => {
    const manager = { destination, path: '/org/freedesktop/systemd1', interface: `${destination}.Manager` };
    const unit = oneText(
      'GetUnitByPID',
      await bus.call({ ...manager, member: 'GetUnitByPID', arguments: [pid] }, signal),
    );
    if (!unit.startsWith(unitPaths)) {
      throw new WorkloadAttestError('BUS', `GetUnitByPID: answer is not the path of a unit: ${JSON.stringify(unit)}`);
    }
    return unit;
  };

  const propertyOf = async (path: string, name: string, signal: AbortSignal): Promise<string> => {
    const properties = { destination, path, interface: 'org.freedesktop.DBus.Properties' };
    const asked = [`${destination}.Unit`, name];
    return oneText(name, await bus.call({ ...properties, member: 'Get', arguments: asked }, signal));
  };

  return {
    type,
    async attest(pid, signal) {
      const unit = await unitOf(pid, signal);
      const [id, fragmentPath] = await Promise.all([
        propertyOf(unit, 'Id', signal),
        propertyOf(unit, 'FragmentPath', signal),
      ]);
      return [`id:${id}`, `fragment_path:${fragmentPath}`].map((value): Selector => ({ type, value }));
    },
  };
}

function oneText(what: string, values: readonly Argument[]): string {
  const [value, ...others] = values;
  if (typeof value !== 'string' || others.length > 0) {
    throw new WorkloadAttestError('BUS', `${what}: answer is not one text`);
  }
  return value;
}

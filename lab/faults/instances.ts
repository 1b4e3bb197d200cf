// Instances of both clouds by the names that people have for them: an id, EC2's tag Name, or Compute Engine's name.
import type { LabContext } from '../context.ts';
import { GcpError } from '../gcp/errors.ts';
import type { MachineRecord } from '../instance/machines.ts';

export interface NamedInstance {
  readonly cloud: 'aws' | 'gcp';
  readonly id: string;
  /** Absent where an EC2 instance has no tag Name. */
  readonly name: string | undefined;
  readonly machine: MachineRecord;
}

/** All that have a machine. */
export function listInstances({ state: { aws, gcp } }: Pick<LabContext, 'state'>): NamedInstance[] {
  return [
    ...aws.instances
      .filter(({ state }) => state !== 'terminated')
      .map(({ id, machine, tags }) => ({
        cloud: 'aws' as const,
        id,
        name: tags.find(({ key }) => key === 'Name')?.value,
        machine,
      })),
    ...gcp.instances.map(({ id, name, machine }) => ({ cloud: 'gcp' as const, id, name, machine })),
  ];
}

export function findInstance(context: Pick<LabContext, 'state'>, wanted: string): NamedInstance {
  const found = listInstances(context).filter(({ id, name }) => id === wanted || name === wanted);
  const [first, ...others] = found;
  if (first === undefined) throw new GcpError('NOT_FOUND', `no instance is called ${wanted}`);
  if (others.length > 0)
    throw new GcpError(
      'FAILED_PRECONDITION',
      `${found.length} instances are called ${wanted}: ${found.map(({ id }) => id).join(', ')}`,
    );
  return first;
}

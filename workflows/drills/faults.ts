// The things that drills break, each with its mending.
import type { LabFault } from '../../activities/drills/drill.ts';
import type { Instance, ServerPool } from '../../activities/plan.ts';
import type { TierServer } from '../../activities/trust/topology.ts';
import { onCloud, onDrill } from '../lib/calls.ts';
import { whereOf } from '../lib/removals.ts';
import { required } from '../lib/required.ts';
import type { Fault } from './round.ts';
import type { DrillStage } from './stage.ts';

const serverUnit = 'spire-server';

function labFault({ request }: DrillStage, name: string, fault: LabFault): Fault {
  const { infrastructure } = request.plan.spec;
  return {
    name,
    ensure: () => onDrill().ensureFault({ infrastructure, fault }),
    mending: () => ({ name, kind: 'lab', infrastructure, fault }),
  };
}

/** Killed without a goodbye, and kept down. */
export function killServer(stage: DrillStage, { name }: TierServer): Fault {
  return labFault(stage, `kill ${serverUnit} of ${name}`, {
    kind: 'program',
    instance: idOf(stage, name),
    unit: serverUnit,
  });
}

/** Nothing goes between the two, either way. */
export function cutLink(stage: DrillStage, one: Pick<Instance, 'name'>, other: TierServer): Fault {
  const fault = { kind: 'link', instance: idOf(stage, one.name), other: idOf(stage, other.name) } as const;
  return labFault(stage, `cut ${one.name} off from ${other.name}`, fault);
}

/** Names are the plan's; the lab may know an instance by a longer one. */
function idOf({ servers, nodes }: DrillStage, name: string): string {
  const found = [...servers, ...nodes].find((one) => one.name === name);
  return required(found, `instance ${name} does not run`).instanceId;
}

/** A real outage of the pool's datastore: its role may not log in, and is logged out everywhere. */
export function closeDatastore({ request }: DrillStage, { cloud, name: pool }: ServerPool): Fault {
  const name = `close the database of ${pool}`;
  const datastore = { ...whereOf(request.plan.spec), pool };
  return {
    name,
    ensure: () => onCloud(cloud, 'spire').ensureDatastoreClosed(datastore),
    mending: () => ({ name, kind: 'datastore', cloud, datastore }),
  };
}

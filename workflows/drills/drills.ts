// Every drill by name: what it breaks, and what it is made of.
import type { DrillName, DrillRequest, LabFault } from '../../activities/drills/drill.ts';
import { agentPartition } from './agent-partition.ts';
import { crossPlatformTrust } from './cross-platform-trust.ts';
import { datastoreDown } from './datastore-down.ts';
import { downstreamServerDown } from './downstream-server-down.ts';
import { entryDeletion } from './entry-deletion.ts';
import { intermediateExpiry } from './intermediate-expiry.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';
import { svidExpiry } from './svid-expiry.ts';
import { upstreamUnreachable } from './upstream-unreachable.ts';

interface Drill {
  /** What the lab must be able to break. */
  readonly kinds: readonly LabFault['kind'][];
  readonly rounds: (stage: DrillStage) => readonly Round[];
}

const drills: Readonly<Record<DrillName, Drill>> = {
  downstreamServerDown: { kinds: ['program'], rounds: downstreamServerDown },
  upstreamUnreachable: { kinds: ['program'], rounds: upstreamUnreachable },
  agentPartition: { kinds: ['link'], rounds: agentPartition },
  svidExpiry: { kinds: ['program'], rounds: svidExpiry },
  entryDeletion: { kinds: [], rounds: entryDeletion },
  crossPlatformTrust: { kinds: ['program'], rounds: crossPlatformTrust },
  datastoreDown: { kinds: [], rounds: datastoreDown },
  intermediateExpiry: { kinds: ['link'], rounds: intermediateExpiry },
};

export function kindsOfDrill({ drill }: DrillRequest): readonly LabFault['kind'][] {
  return drills[drill].kinds;
}

export function roundsOfDrill(stage: DrillStage): readonly Round[] {
  return drills[stage.request.drill].rounds(stage);
}

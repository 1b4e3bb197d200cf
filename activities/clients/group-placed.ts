// Instances as the clouds list them, grouped by where they are and what they are for: short enough for a history, however many there are.
import { readSettings } from '../cloud.ts';
import type { InstanceRole } from '../plan.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';
import type { PlacedGroup } from '../update/update.ts';

export interface PlacedInstance {
  readonly cloud: Cloud;
  readonly region: string;
  /** Absent where somebody took the label away: then it is nobody's to change. */
  readonly role: string | undefined;
  readonly name: string | undefined;
  readonly settings: string | undefined;
}

export function groupPlaced(instances: readonly PlacedInstance[]): PlacedGroup[] {
  const groups = new Map<string, PlacedGroup>();
  for (const { cloud, region, role, name, settings } of instances) {
    if (role === undefined || name === undefined) continue;
    const key = `${region} ${role}`;
    const before = groups.get(key) ?? { cloud, region, role: role as InstanceRole, names: [], settings: [] };
    groups.set(key, {
      ...before,
      names: [...before.names, name].toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })),
      settings: settings === undefined ? before.settings : [...new Set([...before.settings, settings])],
      ...(settings === undefined || readSettings(settings).clusters === undefined ? {} : { isForClusters: true }),
    });
  }
  return [...groups.values()];
}

// What Azure goes by: every part is in a resource group and has an id made of names, so ids are known before the parts are there.
import { keyOf, shortName } from '../composed.ts';
import type { Scope } from '../composed.ts';

/** The resource group of a network, which machines in it share. */
export function networkGroup(scope: Scope, network: string): string {
  return `espalier-${keyOf(scope, network)}`;
}

export function azureId(subscription: string, resourceGroup: string, type: string, name: string): string {
  return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/${type}/${name}`;
}

/** Of what has a resource group to itself. */
export function ownGroup(scope: Scope, part: string): string {
  return `espalier-${shortName(scope, part)}`;
}

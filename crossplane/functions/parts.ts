// Parts of a network are found by labels, in the same composition and from others: what a pool needs of a network is selected, never passed along.
import { keyOf, networkLabel, partLabel } from './composed.ts';
import type { Json, Scope } from './composed.ts';

const zoneLabel = 'espalier.io/zone';

export function partLabels(
  scope: Scope,
  network: string,
  part: string,
  zone?: string,
): Readonly<Record<string, string>> {
  return {
    [networkLabel]: keyOf(scope, network),
    [partLabel]: part,
    ...(zone === undefined ? {} : { [zoneLabel]: zone }),
  };
}

/** A selector of a part; the parts of a composition's own have {@link ownPart}. */
export function partOf(scope: Scope, network: string, part: string, zone?: string): Json {
  return { matchLabels: partLabels(scope, network, part, zone) };
}

/** What the same composite resource owns. */
export function ownPart(part: string): Json {
  return { matchControllerRef: true, matchLabels: { [partLabel]: part } };
}

// That a network in Azure stays as long as what stands in it: Azure would keep what is in use, and let the rules go that protect it.
import { partLabel } from '../composed.ts';
import type { Composed, Json, Scope } from '../composed.ts';
import { compositeType } from '../composite.ts';
import { ownPart } from '../parts.ts';
import { usage } from '../usage.ts';

export function networkUsage(scope: Scope, network: string, user: Composed): Composed {
  const { apiVersion, kind, metadata } = user.resource as {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  };
  return usage(scope, 'usage-network', {
    of: networkOf(scope, network),
    by: { apiVersion, kind, resourceSelector: ownPart(metadata.labels[partLabel] ?? user.name) },
    replayDeletion: true,
  });
}

/** The composite resource itself; a claim's has a name that Crossplane made up, and labels that say whose it is. */
function networkOf(scope: Scope, name: string): Json {
  const { flavour, namespace } = scope;
  const type = compositeType(scope, 'SpireNetwork');
  if (flavour === 'namespaced' || namespace === '') return { ...type, resourceRef: { name } };
  const claim = { 'crossplane.io/claim-namespace': namespace, 'crossplane.io/claim-name': name };
  return { ...type, resourceSelector: { matchLabels: claim } };
}

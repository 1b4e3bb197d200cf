// How the control plane knows what it made in a cluster: for which trust domain, and in which run.
import { trustDomainLabels } from '../clients/crossplane/settings.ts';
import type { AnyObject } from '../clients/kubernetes/resource-kinds.ts';
import { failure } from '../failures.ts';
import type { OwnedInCluster } from './cluster.ts';

const ownerLabel = 'espalier.io/owner';

export type Labels = Readonly<Record<string, string>>;

/** What everything of the trust domain bears. */
export function labelsOf({ trustDomain }: Pick<OwnedInCluster, 'trustDomain'>): Labels {
  return trustDomainLabels(trustDomain);
}

export function ownedLabels(owned: Pick<OwnedInCluster, 'trustDomain' | 'owner'>): Labels {
  return { ...labelsOf(owned), [ownerLabel]: owned.owner };
}

export function ownerOf({ metadata }: AnyObject): string | undefined {
  return metadata.labels?.[ownerLabel];
}

/** What another trust domain, another run or a person made is neither taken over nor, later, removed. */
export function refuseForeign(what: string, found: AnyObject | undefined, owned: OwnedInCluster): void {
  if (found === undefined) return;
  const has = found.metadata.labels ?? {};
  const place = `${what} of cluster ${owned.cluster.name} exists already`;
  if (Object.entries(labelsOf(owned)).some(([key, value]) => has[key] !== value))
    throw failure('Conflict', `${place} and was not made for ${owned.trustDomain}`);
  const owner = ownerOf(found);
  if (owner !== owned.owner) throw failure('Conflict', `${place} and belongs to ${owner ?? 'nobody known'}`);
}

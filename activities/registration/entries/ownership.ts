// Whose an entry is. Its id says it: `<prefix>.<cluster>.<uuid>` is ours, for that cluster. Nothing else is ever deleted. Where a cluster takes over from a
// controller manager, what that one made for the cluster is ours as well; everything else stays somebody else's.
import type { CurrentEntry } from './wanted-entry.ts';

export interface OwnershipRules {
  readonly entryIdPrefix: string;
  readonly trustDomain: string;
  readonly clusters: readonly { readonly name: string; readonly takeOver?: TakeOver | undefined }[];
}

export interface TakeOver {
  /** What the controller manager put before its entries' ids; empty where it had no prefix. */
  readonly entryIdPrefix: string;
}

/** The cluster whose entry it is, or undefined where it is somebody else's. */
export type OwnerOf = (entry: CurrentEntry) => string | undefined;

export function createOwnership({ entryIdPrefix, trustDomain, clusters }: OwnershipRules): OwnerOf {
  const names = new Set(clusters.map(({ name }) => name));
  const takingOver = clusters.flatMap(({ name, takeOver }) => (takeOver === undefined ? [] : [{ name, takeOver }]));
  return (entry) => {
    const last = entry.id.lastIndexOf('.');
    const [place, rest] = [entry.id.slice(0, Math.max(last, 0)), entry.id.slice(last + 1)];
    if (rest !== '' && place.startsWith(`${entryIdPrefix}.`)) {
      const cluster = place.slice(entryIdPrefix.length + 1);
      if (names.has(cluster)) return cluster;
    }
    return takingOver.find(({ name, takeOver }) => wasMadeFor(entry, place, takeOver, trustDomain, name))?.name;
  };
}

export function newEntryId(entryIdPrefix: string, cluster: string, uuid: string): string {
  return `${entryIdPrefix}.${cluster}.${uuid}`;
}

/** What a controller manager makes of a pod, and people do not: it names one pod, below an agent of the cluster. */
function wasMadeFor(
  { selectors, parentId }: CurrentEntry,
  place: string,
  { entryIdPrefix }: TakeOver,
  trustDomain: string,
  cluster: string,
): boolean {
  if (place !== entryIdPrefix) return false;
  const isOfPod = selectors.some(({ type, value }) => type === 'k8s' && value.startsWith('pod-uid:'));
  return isOfPod && parentId.startsWith(`spiffe://${trustDomain}/spire/agent/k8s_psat/${cluster}/`);
}

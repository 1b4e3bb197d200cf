// Objects as those who declare entries: which of two that want the same entry goes first depends on when they were made.
import type { Declarer } from '../entries/wanted-entry.ts';
import type { KubernetesObject } from '../objects/kubernetes-objects.ts';

export function declarerOf(cluster: string, kind: Declarer['kind'], { metadata }: KubernetesObject): Declarer {
  const { name, namespace, uid, creationTimestamp, deletionTimestamp } = metadata;
  return {
    cluster,
    kind,
    name: namespace === undefined || namespace === '' ? name : `${namespace}/${name}`,
    uid,
    createdAt: creationTimestamp === undefined ? 0 : Date.parse(creationTimestamp),
    deletedAt: deletionTimestamp === undefined ? undefined : Date.parse(deletionTimestamp),
  };
}

/** The older first; among those of one age what is not being deleted, and then what is deleted last; the UID decides in the end. */
export function comparePreference(a: Declarer, b: Declarer): number {
  return (
    a.createdAt - b.createdAt ||
    compareDeletion(a.deletedAt, b.deletedAt) ||
    compareText(a.uid, b.uid) ||
    compareText(a.cluster, b.cluster)
  );
}

function compareDeletion(a: number | undefined, b: number | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return b - a;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

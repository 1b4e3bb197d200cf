// What the custom resources' statuses say once a round is over. Pure.
import type { DeclaredEntry } from '../entries/wanted-entry.ts';
import type { RenderedResource } from './render-cluster.ts';

export interface RoundOutcome {
  readonly masked: readonly DeclaredEntry[];
  /** Declared and not masked. */
  readonly toSet: readonly DeclaredEntry[];
  readonly failed: readonly DeclaredEntry[];
}

export interface WantedStatus {
  readonly of: RenderedResource;
  readonly status: Readonly<Record<string, unknown>>;
}

/** Those that are otherwise than the resource has them. */
export function changedStatuses(resources: readonly RenderedResource[], outcome: RoundOutcome): WantedStatus[] {
  const [masked, toSet, failed] = [countBy(outcome.masked), countBy(outcome.toSet), countBy(outcome.failed)];
  return resources
    .map((of) => {
      const counts = [masked, toSet, failed].map((count) => count.get(of.by.uid) ?? 0) as [number, number, number];
      return { of, status: statusOf(of, counts) };
    })
    .filter(({ of, status }) => !isSaid(of.resource.status, status));
}

function statusOf(
  resource: RenderedResource,
  [masked, toSet, failed]: [number, number, number],
): object & WantedStatus['status'] {
  if (resource.by.kind === 'ClusterStaticEntry')
    return { rendered: resource.rendered === true, masked: masked > 0, set: toSet > 0 && failed === 0 };
  const none = { namespacesSelected: 0, namespacesIgnored: 0, podsSelected: 0, podEntryRenderFailures: 0 };
  const stats = { ...none, ...resource.counts, entriesMasked: masked, entriesToSet: toSet, entryFailures: failed };
  return { stats };
}

function countBy(declared: readonly DeclaredEntry[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { by } of declared) counts.set(by.uid, (counts.get(by.uid) ?? 0) + 1);
  return counts;
}

/** Whatever else a status holds is not ours to judge. */
function isSaid(status: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return status === wanted;
  if (typeof status !== 'object' || status === null) return false;
  return Object.entries(wanted).every(([name, value]) => isSaid((status as Record<string, unknown>)[name], value));
}

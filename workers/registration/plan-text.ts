// What a round would do, for people: a line for each entry, and one with the counts.
import { nameOf } from '../../activities/registration/entries/wanted-entry.ts';
import type { Round } from '../../activities/registration/reconcile/reconciler.ts';

export function planText({ plan, held, faults, waitingFor }: Round): string {
  const { create, update, remove, standing, masked, taken } = plan;
  const lines = [
    ...create.map(({ entry, by }) => `+ ${entry.spiffeId} below ${entry.parentId} (${nameOf(by)})`),
    ...update.map(
      ({ entry, by, id, fields }) => `~ ${entry.spiffeId}: ${fields.join(', ')} (${nameOf(by)}, entry ${id})`,
    ),
    ...remove.map(({ spiffeId, id }) => `- ${spiffeId} (entry ${id})`),
    ...masked.map(({ entry, by }) => `  ${entry.spiffeId} is masked (${nameOf(by)})`),
    ...taken.map(({ entry, id }) => `  ${entry.spiffeId} is somebody else's (entry ${id})`),
    ...held.map(({ cluster, wouldGo, of }) => `! ${cluster}: ${wouldGo} of ${of} would go at once and are kept`),
    ...faults.map(({ by, field, reason }) => `! ${by}: ${field}: ${reason}`),
    ...waitingFor.map((cluster) => `? ${cluster}: not all objects are known yet`),
    `${create.length} to create, ${update.length} to update, ${remove.length} to delete, ${standing.length} stand`,
  ];
  return `${lines.join('\n')}\n`;
}

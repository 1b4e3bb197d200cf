// Whether a composed resource is ready: it is what is wanted now, it says so itself of the generation that it has, and its last reconciliation did
// not fail.
import { z } from 'zod';
import type { Json } from './composed.ts';

const observedSchema = z.object({
  metadata: z.object({ generation: z.number().optional(), deletionTimestamp: z.string().optional() }),
  status: z.object({
    conditions: z.array(z.object({ type: z.string(), status: z.string(), observedGeneration: z.number().optional() })),
  }),
});

export function isReady(observed: Json | undefined, desired: Json): boolean {
  const parsed = observedSchema.safeParse(observed);
  if (!parsed.success) return false;
  const { metadata, status } = parsed.data;
  if (metadata.deletionTimestamp !== undefined) return false;
  // What is about to be changed says nothing of the change.
  if (!holds(observed?.['spec'], desired['spec'])) return false;
  const find = (type: string) => status.conditions.find((condition) => condition.type === type);
  const ready = find('Ready');
  if (ready?.status !== 'True' || (find('Synced') ?? ready).status !== 'True') return false;
  // A condition of an older generation says nothing of what is wanted now.
  return ready.observedGeneration === undefined || ready.observedGeneration >= (metadata.generation ?? 0);
}

/** Whether everything wanted is there; providers and the API server fill in what nobody wanted otherwise. */
function holds(actual: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true;
  if (typeof wanted !== 'object' || wanted === null) return actual === wanted;
  if (typeof actual !== 'object' || actual === null) return false;
  if (Array.isArray(wanted) && (actual as unknown[]).length !== wanted.length) return false;
  return Object.entries(wanted).every(([key, value]) => holds((actual as Json)[key], value));
}

// Conditions as Crossplane and its providers write them: the time of a condition is that of its last change.
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from './api.ts';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message?: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime?: string;
}

export function conditionOf(
  { metadata }: KubeObject,
  type: string,
  status: Condition['status'],
  reason: string,
  message?: string,
): Condition {
  const observedGeneration = metadata.generation ?? 0;
  return { type, status, reason, ...(message === undefined ? {} : { message }), observedGeneration };
}

type Old = Readonly<Record<string, unknown>> | undefined;

export function withTimes(conditions: readonly Condition[], status: Old): Condition[] {
  const before = (status?.['conditions'] ?? []) as readonly Condition[];
  return conditions.map((condition) => {
    const old = before.find(({ type }) => type === condition.type);
    const isSame = old !== undefined && old.status === condition.status && old.reason === condition.reason;
    const lastTransitionTime = (isSame ? old.lastTransitionTime : undefined) ?? new Date().toISOString();
    return { ...condition, lastTransitionTime };
  });
}

/** Nothing to be written where it would change nothing. */
export function isSame(status: Old, wanted: object): boolean {
  return Object.entries(wanted).every(([key, value]) => isDeepStrictEqual(status?.[key], value));
}

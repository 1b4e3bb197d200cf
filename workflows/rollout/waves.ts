// How many nodes go at once: the canaries of each segment first, then as many as may be without their agent at the same time.
import type { RollOutPolicy } from '../../activities/rollout/rollout.ts';

/** What one activity carries to its cloud and back. */
const mostInAWave = 500;

/** Of all nodes, at least one: a tenth of three nodes is one. */
export function mostUnavailable({ maxUnavailable }: RollOutPolicy, total: number): number {
  const wanted =
    typeof maxUnavailable === 'number' ? maxUnavailable : (total * Number.parseInt(maxUnavailable, 10)) / 100;
  return Math.min(Math.max(1, Math.floor(wanted)), mostInAWave);
}

/** Of each segment. */
export function canariesOf({ canary }: RollOutPolicy, left: readonly number[]): number[] {
  return left.map((count) => Math.min(count, canary));
}

/** Sizes of the waves, the canaries' first; `left`: nodes of each segment that are to be changed. */
export function plannedWaves(policy: RollOutPolicy, left: readonly number[], total: number): number[] {
  const size = mostUnavailable(policy, total);
  const canaries = sum(canariesOf(policy, left));
  const waves = canaries === 0 ? [] : [canaries];
  for (let rest = sum(left) - canaries; rest > 0; rest -= size) waves.push(Math.min(rest, size));
  return waves;
}

/** Shares a wave out: to each segment by its part of what is left, the remainder to the first that have any. */
export function shareOut(size: number, left: readonly number[]): number[] {
  const total = sum(left);
  if (total <= size) return [...left];
  const shares = left.map((count) => Math.floor((size * count) / total));
  let rest = size - sum(shares);
  return shares.map((share, index) => {
    if (rest === 0 || share >= (left[index] ?? 0)) return share;
    rest -= 1;
    return share + 1;
  });
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

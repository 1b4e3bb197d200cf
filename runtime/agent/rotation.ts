// When something that ends is to be renewed: at half its life, one tenth of the half earlier or later, so that a fleet that started together
// does not come back together.

export interface Lifetime {
  /** Epoch ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface RotationPolicy {
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** How long workloads are to survive without a server; 0 is unset. */
  readonly availabilityTargetMs: number;
}

/** Below this the availability target would have an SVID renewed nearly all the time: half life counts instead. */
const shortestGraceMs = 12 * 3_600_000;
const availabilityJitterMs = 10 * 60_000;

/** Epoch ms. Drawn once for each SVID: asked again at every poll, the earliest draw would always win. */
export function renewalTime(
  { notBefore, notAfter }: Lifetime,
  { random, availabilityTargetMs }: RotationPolicy,
): number {
  const lifetime = notAfter - notBefore;
  const half = lifetime / 2;
  const byHalf = notAfter - half * (0.9 + 0.2 * random());
  if (availabilityTargetMs === 0 || lifetime - availabilityTargetMs <= shortestGraceMs) return byHalf;
  return Math.min(byHalf, notAfter - availabilityTargetMs - availabilityJitterMs * random());
}

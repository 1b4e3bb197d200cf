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

/** Whether the SVID lives too short for the target to say when it is renewed. */
export function isTooShortFor({ notBefore, notAfter }: Lifetime, availabilityTargetMs: number): boolean {
  return availabilityTargetMs !== 0 && notAfter - notBefore - availabilityTargetMs <= shortestGraceMs;
}

/** Epoch ms. Drawn once for each SVID: asked again at every poll, the earliest draw would always win. */
export function renewalTime(lifetime: Lifetime, { random, availabilityTargetMs }: RotationPolicy): number {
  const { notBefore, notAfter } = lifetime;
  const byHalf = notAfter - ((notAfter - notBefore) / 2) * (0.9 + 0.2 * random());
  if (availabilityTargetMs === 0 || isTooShortFor(lifetime, availabilityTargetMs)) return byHalf;
  return Math.min(byHalf, notAfter - availabilityTargetMs - availabilityJitterMs * random());
}

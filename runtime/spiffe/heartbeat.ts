// How often agents report to their server where nothing changes. The server asks for it, and whoever counts on reports has the same number.

const longestMs = 60_000;
const shortestMs = 1_000;

/** Who falls silent is known to be before the half of its SVID's life is over that was left at the renewal. */
export function heartbeatOf(agentTtlMs: number): number {
  return Math.round(Math.min(longestMs, Math.max(shortestMs, agentTtlMs / 8)));
}

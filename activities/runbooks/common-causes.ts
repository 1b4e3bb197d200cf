// What holders that fell silent have in common and the others have not: the first thing to know when many fail at once. Pure.
import type { Holding } from '../../proto/gen/espalier/fleet/v1/fleet.ts';

/** Of those that fell silent, and of all that have the trait, so many must agree before it is called common. */
const share = { ofSilent: 0.9, ofTrait: 0.5 };
const minuteMs = 60_000;
const largeSkewMs = 5_000;
const mostNamed = 5;

/** One or two that fail are no crowd. */
export function commonCauses(holdings: readonly Holding[], silent: readonly Holding[]): string[] {
  if (silent.length < 3) return [];
  const all = countTraits(holdings);
  return [...countTraits(silent)]
    .map(([trait, count]) => ({ trait, count, of: all.get(trait) ?? count }))
    .filter(({ count, of }) => count >= silent.length * share.ofSilent && count >= of * share.ofTrait)
    .toSorted((a, b) => b.count / b.of - a.count / a.of || b.count - a.count)
    .slice(0, mostNamed)
    .map(({ trait, count, of }) => `${trait}: ${count} of the ${silent.length} silent ones, and ${of - count} others`);
}

function countTraits(holdings: readonly Holding[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const trait of holdings.flatMap(traitsOf)) counts.set(trait, (counts.get(trait) ?? 0) + 1);
  return counts;
}

function traitsOf({ id, version, reportedAtMs, clockSkewMs }: Holding): string[] {
  const [, attestor, place, region] = /\/spire\/agent\/([^/]+)\/([^/]+)(?:\/([^/]+)\/[^/]+)?/.exec(id) ?? [];
  const heard = new Date(Math.floor(reportedAtMs / minuteMs) * minuteMs).toISOString().slice(0, 16);
  return [
    ...(version === '' ? [] : [`version ${version}`]),
    ...(attestor === undefined ? [] : [`node attestor ${attestor}`]),
    ...(region === undefined ? [] : [`account or project ${place}`, `region ${region}`]),
    ...(reportedAtMs === 0 ? [] : [`last heard at ${heard}`]),
    ...(Math.abs(clockSkewMs) > largeSkewMs ? [`a clock ${clockSkewMs > 0 ? 'ahead' : 'behind'}`] : []),
  ];
}

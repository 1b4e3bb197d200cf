// TTLs that a scheduled rotation of the CA would cut short: SPIRE's advice to the operator. Whether the server refuses instead is `ttl_lattice`.
import { formatDuration } from '../../spiffe/duration.ts';
import type { ServerSection } from './server-section.ts';

const hour = 3_600_000;
/** A CA is replaced at the latest a week before it ends, at the earliest when a sixth of its life is left. */
const longestThreshold = 7 * 24 * hour;
const fraction = 6;

export function ttlWarnings(section: ServerSection): string[] {
  const ttls: [string, number | undefined][] = [
    ['default_x509_svid_ttl', section.default_x509_svid_ttl],
    ['default_jwt_svid_ttl', section.default_jwt_svid_ttl],
    ['agent_ttl', section.agent_ttl],
  ];
  return ttls.flatMap(([name, ttl]) => (ttl === undefined ? [] : ttlWarning(name, ttl, section.ca_ttl)));
}

function ttlWarning(name: string, ttl: number, caTtl: number): string[] {
  const longest = Math.min(caTtl / fraction, longestThreshold);
  if (ttl <= longest) return [];
  const end = `to guarantee the full ${name} lifetime when CA rotations are scheduled.`;
  if (ttl < longestThreshold) {
    const cure = `Please set ${name} to ${short(longest)} or less, or the ca_ttl to ${short(ttl * fraction)} or more, ${end}`;
    return [`${name} is too high for the configured ca_ttl value. SVIDs with shorter lifetimes may be issued. ${cure}`];
  }
  if (caTtl < longestThreshold * fraction) {
    const cure = `Please set ${name} to ${short(longestThreshold)} or less, and the ca_ttl to ${short(longestThreshold * fraction)} or more, ${end}`;
    return [`${name} is too high and the ca_ttl is too low. SVIDs with shorter lifetimes may be issued. ${cure}`];
  }
  return [
    `${name} is too high. SVIDs with shorter lifetimes may be issued. Please set ${name} to ${short(longest)} or less ${end}`,
  ];
}

/** `4h` rather than `4h0m0s`. */
function short(ms: number): string {
  const whole = formatDuration(Math.trunc(ms / 1000) * 1000);
  return whole.replace(/m0s$/, 'm').replace(/h0m$/, 'h');
}

// Whether a name lies within a constraint, one rule for each kind of name (RFC 5280 §4.2.1.10). A name that makes no sense matches nothing permitted,
// so callers must ask about exclusions with the same care: each function throws for names that cannot be read.
import { readWhole } from './der/reader.ts';
import { tags } from './der/tags.ts';
import { refuse } from './errors.ts';

/** A domain and everything below it; with a leading dot only what is below. */
export function matchesDomain(name: string, constraint: string): boolean {
  if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name)) {
    throw refuse('NAME_CONSTRAINTS', `DNS name ${name} cannot be held against constraints`);
  }
  const host = name.toLowerCase();
  const domain = constraint.toLowerCase();
  if (domain === '') return true;
  if (domain.startsWith('.')) return host.endsWith(domain);
  return host === domain || host.endsWith(`.${domain}`);
}

/** As above, and a wildcard overlaps with each name that it stands for: `*.a.test` with `b.a.test` (CVE-2025-61727). */
export function overlapsDomain(name: string, constraint: string): boolean {
  if (matchesDomain(name, constraint)) return true;
  if (!name.startsWith('*.')) return false;
  const [, ...parent] = constraint.toLowerCase().split('.');
  return !constraint.startsWith('.') && parent.join('.') === name.slice(2).toLowerCase();
}

/** The host of the URI – for a SPIFFE ID its trust domain – is the constraint, or lies below it where that starts with a dot. */
export function matchesUri(uri: string, constraint: string): boolean {
  const host = hostOf(uri);
  const domain = constraint.toLowerCase();
  if (domain === '') return true;
  return domain.startsWith('.') ? host.endsWith(domain) : host === domain;
}

export function matchesEmail(address: string, constraint: string): boolean {
  const at = address.lastIndexOf('@');
  if (!/^[^@\s]+@[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(address))
    throw refuse('NAME_CONSTRAINTS', `email name ${address} cannot be held against constraints`);
  const host = address.slice(at + 1).toLowerCase();
  if (constraint.includes('@')) {
    const [local, domain] = [
      constraint.slice(0, constraint.lastIndexOf('@')),
      constraint.slice(constraint.lastIndexOf('@') + 1),
    ];
    return address.slice(0, at) === local && host === domain.toLowerCase();
  }
  const domain = constraint.toLowerCase();
  if (domain === '') return true;
  return domain.startsWith('.') ? host.endsWith(domain) : host === domain;
}

/** The constraint is an address and a mask of the same width. */
export function matchesIp(address: Uint8Array, constraint: Uint8Array): boolean {
  if (constraint.length !== 8 && constraint.length !== 32) {
    throw refuse('NAME_CONSTRAINTS', `constraint on IP addresses of ${constraint.length} bytes`);
  }
  const width = constraint.length / 2;
  if (address.length !== width) return false;
  return address.every((byte, index) => {
    const mask = constraint[width + index] ?? 0;
    return (byte & mask) === ((constraint[index] ?? 0) & mask);
  });
}

/** The constraint's relative names are the first ones of the name, byte by byte. */
export function matchesDirectory(name: Uint8Array, constraint: Uint8Array): boolean {
  const have = relativeNames(name);
  const want = relativeNames(constraint);
  return (
    want.length <= have.length &&
    want.every((set, index) => Buffer.compare(set, have[index] ?? new Uint8Array(0)) === 0)
  );
}

function relativeNames(name: Uint8Array): Uint8Array[] {
  return readWhole(name, (reader) => {
    const sets = reader.sequence();
    const found: Uint8Array[] = [];
    while (!sets.done) found.push(sets.whole(tags.set));
    return found;
  });
}

/** RFC 5280: a URI without a host that is a name cannot be constrained, so below a constraint it is refused. */
function hostOf(uri: string): string {
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1];
  const host = authority
    ?.slice(authority.lastIndexOf('@') + 1)
    .replace(/:\d*$/, '')
    .toLowerCase();
  const isAddress = host === undefined || host === '' || host.startsWith('[') || /^[\d.]+$/.test(host);
  if (isAddress) throw refuse('NAME_CONSTRAINTS', `URI name ${uri} has no host name to hold against constraints`);
  return host;
}

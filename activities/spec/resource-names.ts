// The names that a trust domain's infrastructure bears, in its clouds and in Kubernetes: whoever makes a part and whoever looks for it say the same.
import { createHash } from 'node:crypto';

/** A short name that is unique for the trust domain: cloud names are shorter than trust domains may be. */
export function stem(trustDomain: string): string {
  return `espalier-${digest(trustDomain).slice(0, 8)}`;
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What fits where a trust domain's own name may be too long: labels. */
export function shortDigest(trustDomain: string): string {
  return digest(trustDomain).slice(0, 8);
}

/** The secret that holds a server pool's database address, as an environment file. */
export function databaseSecretName(trustDomain: string, pool: string): string {
  return `${stem(trustDomain)}-${pool}-database`;
}

/** Of an instance, its identity or a pool's datastore: 60 characters at most, as Crossplane labels what it composes with it. */
export function partName(trustDomain: string, part: string): string {
  return `${stem(trustDomain)}-${part}`;
}

/** All that a trust domain has in a region shares a network. */
export function placeName(trustDomain: string, cloud: string, region: string): string {
  return partName(trustDomain, `${cloud}-${region}`);
}

/** Account ids of Google Cloud have at most 30 characters, roles may be longer: hence a digest. */
export function accountId(trustDomain: string, role: string): string {
  return `${stem(trustDomain)}-${digest(role).slice(0, 8)}`;
}

/** A network of its own for each place of a trust domain, the same whoever asks and whatever other places there are. */
export function placeCidr(cloud: string, region: string): string {
  return `10.${1 + (Number.parseInt(digest(`${cloud}/${region}`).slice(0, 8), 16) % 254)}.0.0/16`;
}

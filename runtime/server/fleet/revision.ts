// What a watching caller has, as a short text that is the same at every server on the same database: it changes when, and only when, there is
// something to fetch.
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { EntryRecord } from '../store/records.ts';

export interface Revision {
  readonly entries: string;
  readonly bundles: string;
}

/** Of 96 bits: nobody gains anything by a collision, which would have to be among the caller's own few states. */
const digestBytes = 12;

export function formatRevision({ entries, bundles }: Revision): string {
  return `${entries}.${bundles}`;
}

/** Whatever is no revision of ours differs from all that are. */
export function parseRevision(text: string): Revision {
  const [entries = '', bundles = ''] = text.split('.');
  return { entries, bundles };
}

const ofLists = new WeakMap<readonly EntryRecord[], string>();

/** An agent's list is the same array until something changes. */
export function entriesRevision(entries: readonly EntryRecord[]): string {
  const known = ofLists.get(entries);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for (const { id, revisionNumber, createdAt } of entries) hash.update(`${id} ${revisionNumber} ${createdAt}\n`);
  const revision = shorten(hash);
  ofLists.set(entries, revision);
  return revision;
}

const ofBundles = new WeakMap<TrustBundle, string>();

export function bundleRevision(bundle: TrustBundle): string {
  const known = ofBundles.get(bundle);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  const { trustDomain, refreshHintSeconds, sequenceNumber, x509Authorities, jwtAuthorities } = bundle;
  hash.update(JSON.stringify([trustDomain.name, refreshHintSeconds, sequenceNumber]));
  for (const { asn1, tainted = false } of x509Authorities) hash.update(asn1).update(String(tainted));
  for (const { keyId, publicKey, expiresAt, tainted = false } of jwtAuthorities) {
    hash.update(JSON.stringify([keyId, expiresAt, tainted])).update(publicKey);
  }
  const revision = shorten(hash);
  ofBundles.set(bundle, revision);
  return revision;
}

export function joinRevisions(revisions: readonly string[]): string {
  const [only = ''] = revisions;
  return revisions.length === 1 ? only : shorten(createHash('sha256').update(revisions.join(' ')));
}

function shorten(hash: Hash): string {
  return hash.digest().subarray(0, digestBytes).toString('base64url');
}

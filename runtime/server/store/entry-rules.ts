// What makes an entry fit to be kept, whoever sends it; the API checks the wire's side of it before.
import { hash } from 'node:crypto';
import { StoreError } from './errors.ts';
import type { EntryRecord } from './records.ts';

const maxIdLength = 255;
const maxHintLength = 1024;
const maxTtl = 2 ** 31 - 1;

/** Throws INVALID with the first rule broken. */
export function checkEntry(entry: EntryRecord): void {
  const refuse = (message: string): never => {
    throw new StoreError('INVALID', message);
  };
  if (entry.id.length > maxIdLength) refuse('entry ID too long');
  if (!/^[A-Za-z0-9._-]+$/.test(entry.id)) refuse('entry ID contains invalid characters');
  if (entry.spiffeId === '') refuse('missing SPIFFE ID');
  if (entry.parentId === '') refuse('missing parent ID');
  if (entry.selectors.length === 0) refuse('missing selector list');
  if (entry.x509SvidTtl < 0 || entry.x509SvidTtl > maxTtl) refuse('X509-SVID TTL is out of range');
  if (entry.jwtSvidTtl < 0 || entry.jwtSvidTtl > maxTtl) refuse('JWT-SVID TTL is out of range');
  if (entry.hint.length > maxHintLength) refuse('hint is too long');
  if (entry.storeSvid && new Set(entry.selectors.map(({ type }) => type)).size > 1) {
    refuse('selector types must be the same when store SVID is enabled');
  }
  if (entry.storeSvid && entry.additionalAttributes?.disableX509SvidPrefetch === true) {
    refuse('X509-SVID prefetch cannot be disabled when store SVID is enabled');
  }
}

/** Equal for entries with the same parent, SPIFFE ID and set of selectors; those come sorted, as the database keeps them. In hex. */
export function similarityOf({ parentId, spiffeId }: EntryRecord, selectors: readonly string[]): string {
  return hash('sha256', JSON.stringify([parentId, spiffeId, selectors]), 'hex');
}

// What makes an entry fit to be kept, whoever sends it; the API checks the wire's side of it before.
import { hash } from 'node:crypto';
import { StoreError } from './errors.ts';
import type { EntryRecord } from './records.ts';

const maxIdLength = 255;
const maxHintLength = 1024;
const maxTtl = 2 ** 31 - 1;

/** Throws INVALID with the first rule broken; the texts are those of SPIRE's datastore, where it has the rule. */
export function checkEntry(entry: EntryRecord): void {
  const { id, selectors, hint, storeSvid } = entry;
  const refuse = (message: string): never => {
    throw new StoreError('INVALID', `datastore-validation: ${message}`);
  };
  const refuseEntry = (message: string): never => refuse(`invalid registration entry: ${message}`);
  if (selectors.length === 0) refuseEntry('missing selector list');
  if (storeSvid && entry.additionalAttributes?.disableX509SvidPrefetch === true) {
    refuse('specifying cache behaviour is incompatible with storable SVIDs');
  }
  if (storeSvid && new Set(selectors.map(({ type }) => type)).size > 1) {
    refuseEntry('selector types must be the same when store SVID is enabled');
  }
  if (id.length > maxIdLength) refuseEntry('entry ID too long');
  if (!/^[A-Za-z0-9._-]+$/.test(id)) refuseEntry('entry ID contains invalid characters');
  if (entry.spiffeId === '') refuseEntry('missing SPIFFE ID');
  if (entry.parentId === '') refuseEntry('missing parent ID');
  if (entry.x509SvidTtl < 0) refuseEntry('X509SvidTtl is not set');
  if (entry.jwtSvidTtl < 0) refuseEntry('JwtSvidTtl is not set');
  if (entry.x509SvidTtl > maxTtl) refuseEntry('X509-SVID TTL is out of range');
  if (entry.jwtSvidTtl > maxTtl) refuseEntry('JWT-SVID TTL is out of range');
  if (hint.length > maxHintLength) refuseEntry('hint is too long');
}

/** Equal for entries with the same parent, SPIFFE ID and set of selectors; those come sorted, as the database keeps them. In hex. */
export function similarityOf({ parentId, spiffeId }: EntryRecord, selectors: readonly string[]): string {
  return hash('sha256', JSON.stringify([parentId, spiffeId, selectors]), 'hex');
}

// An entry as a row: the columns in the order of their values, and the way back.
import { similarityOf } from './entry-rules.ts';
import type { EntryAttributes, EntryRecord } from './records.ts';
import { decodeSelectors, encodeSelectors } from './selector-text.ts';

export interface EntryRow {
  readonly seq: number;
  readonly id: string;
  readonly spiffe_id: string;
  readonly parent_id: string;
  readonly selectors: string[];
  readonly x509_svid_ttl: number;
  readonly jwt_svid_ttl: number;
  readonly federates_with: string[];
  readonly admin: boolean;
  readonly downstream: boolean;
  readonly store_svid: boolean;
  readonly expires_at: number;
  readonly created_at: number;
  readonly dns_names: string[];
  readonly hint: string;
  readonly revision_number: number;
  readonly additional_attributes: EntryAttributes | null;
  readonly similarity: Buffer;
}

/** What `entryRowJson` gives a value for. */
export const entryColumns = [
  'id',
  'spiffe_id',
  'parent_id',
  'selectors',
  'x509_svid_ttl',
  'jwt_svid_ttl',
  'federates_with',
  'admin',
  'downstream',
  'store_svid',
  'expires_at',
  'created_at',
  'dns_names',
  'hint',
  'revision_number',
  'additional_attributes',
  'similarity',
] as const;

/** The row as a JSON object, which the database turns into columns, and its similarity in hex. */
export function entryRowJson(entry: EntryRecord): { readonly json: string; readonly similarity: string } {
  const selectors = encodeSelectors(entry.selectors);
  const similarity = similarityOf(entry, selectors);
  const row: Record<(typeof entryColumns)[number], unknown> = {
    id: entry.id,
    spiffe_id: entry.spiffeId,
    parent_id: entry.parentId,
    selectors,
    x509_svid_ttl: entry.x509SvidTtl,
    jwt_svid_ttl: entry.jwtSvidTtl,
    federates_with: entry.federatesWith,
    admin: entry.admin,
    downstream: entry.downstream,
    store_svid: entry.storeSvid,
    expires_at: entry.expiresAt,
    created_at: entry.createdAt,
    dns_names: entry.dnsNames,
    hint: entry.hint,
    revision_number: entry.revisionNumber,
    additional_attributes: entry.additionalAttributes ?? null,
    similarity: `\\x${similarity}`,
  };
  return { json: JSON.stringify(row), similarity };
}

export function entryOfRow(row: EntryRow): EntryRecord {
  return {
    id: row.id,
    spiffeId: row.spiffe_id,
    parentId: row.parent_id,
    selectors: decodeSelectors(row.selectors),
    x509SvidTtl: row.x509_svid_ttl,
    jwtSvidTtl: row.jwt_svid_ttl,
    federatesWith: row.federates_with,
    admin: row.admin,
    downstream: row.downstream,
    storeSvid: row.store_svid,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    dnsNames: row.dns_names,
    hint: row.hint,
    revisionNumber: row.revision_number,
    ...(row.additional_attributes === null ? {} : { additionalAttributes: row.additional_attributes }),
  };
}

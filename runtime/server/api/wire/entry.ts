// Registration entries between the API and the store: what a caller sends is checked here, field by field, and a mask says which fields count.
import type { EntryMask } from '../../../../proto/gen/spire/api/types/entry.ts';
import type { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import { parseSpiffeId } from '../../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import type { EntryAttributes, EntryDraft, EntryPatch, EntryRecord } from '../../store/records.ts';
import { checkDnsName } from '../dns-name.ts';
import { encodeSelectors, parseSelectors } from './selectors.ts';
import { encodeSpiffeId, parseMemberId, parseWorkloadId } from './spiffe-id.ts';

const longestHint = 1024;
const noAttributes: EntryAttributes = { disableX509SvidPrefetch: false, jwtSvidIncludeJti: false };

/** A new entry; every field counts. */
export function parseEntryDraft(trustDomain: TrustDomain, wire: Entry): EntryDraft {
  const { spiffeId, parentId, selectors, ...rest } = parseEntryPatch(trustDomain, wire, undefined);
  if (spiffeId === undefined || parentId === undefined || selectors === undefined) throw new Error('missing entry');
  return { spiffeId, parentId, selectors, ...rest, ...(wire.id === '' ? {} : { id: wire.id }) };
}

/** The fields that the mask names; no mask names all. */
export function parseEntryPatch(trustDomain: TrustDomain, wire: Entry, mask: EntryMask | undefined): EntryPatch {
  const has = (field: keyof EntryMask) => mask === undefined || mask[field];
  return {
    ...(has('parentId') && {
      parentId: String(within('invalid parent ID', () => parseMemberId(trustDomain, wire.parentId))),
    }),
    ...(has('spiffeId') && {
      spiffeId: String(within('invalid spiffe ID', () => parseWorkloadId(trustDomain, wire.spiffeId))),
    }),
    ...(has('admin') && { admin: wire.admin }),
    ...(has('dnsNames') && { dnsNames: within('invalid DNS name', () => parseDnsNames(wire.dnsNames)) }),
    ...(has('downstream') && { downstream: wire.downstream }),
    ...(has('expiresAt') && { expiresAt: wire.expiresAt }),
    ...(has('federatesWith') && {
      federatesWith: within('invalid federated trust domain', () =>
        wire.federatesWith.map((name) => parseTrustDomain(name).name),
      ),
    }),
    ...(has('selectors') && { selectors: parseEntrySelectors(wire) }),
    ...(has('storeSvid') && { storeSvid: wire.storeSvid }),
    ...(has('x509SvidTtl') && { x509SvidTtl: wire.x509SvidTtl }),
    ...(has('jwtSvidTtl') && { jwtSvidTtl: wire.jwtSvidTtl }),
    ...(has('hint') && { hint: parseHint(wire.hint) }),
    ...(has('additionalAttributes') && { additionalAttributes: wire.additionalAttributes ?? noAttributes }),
  };
}

function parseEntrySelectors({ selectors }: Entry): EntryPatch['selectors'] & object {
  if (selectors.length === 0) throw new Error('selector list is empty');
  return parseSelectors(selectors);
}

function parseDnsNames(names: readonly string[]): string[] {
  for (const name of names) checkDnsName(name);
  return [...names];
}

function parseHint(hint: string): string {
  if (Buffer.byteLength(hint) > longestHint)
    throw new Error(`hint is too long, max length is ${longestHint} characters`);
  return hint;
}

/** Says which field of the entry was wrong. */
function within<T>(problem: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(`${problem}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export function encodeEntry(record: EntryRecord, mask: EntryMask | undefined): Entry {
  const has = (field: keyof EntryMask) => mask === undefined || mask[field];
  return {
    id: record.id,
    spiffeId: has('spiffeId') ? encodeSpiffeId(parseSpiffeId(record.spiffeId)) : undefined,
    parentId: has('parentId') ? encodeSpiffeId(parseSpiffeId(record.parentId)) : undefined,
    selectors: has('selectors') ? encodeSelectors(record.selectors) : [],
    x509SvidTtl: has('x509SvidTtl') ? record.x509SvidTtl : 0,
    federatesWith: has('federatesWith') ? [...record.federatesWith] : [],
    admin: has('admin') && record.admin,
    downstream: has('downstream') && record.downstream,
    expiresAt: has('expiresAt') ? record.expiresAt : 0,
    dnsNames: has('dnsNames') ? [...record.dnsNames] : [],
    revisionNumber: has('revisionNumber') ? record.revisionNumber : 0,
    storeSvid: has('storeSvid') && record.storeSvid,
    jwtSvidTtl: has('jwtSvidTtl') ? record.jwtSvidTtl : 0,
    hint: has('hint') ? record.hint : '',
    createdAt: has('createdAt') ? record.createdAt : 0,
    additionalAttributes: has('additionalAttributes') ? encodeAttributes(record.additionalAttributes) : undefined,
  };
}

/** Attributes that say nothing are left out, as they are for an entry that never had any. */
function encodeAttributes(attributes: EntryAttributes | undefined): Entry['additionalAttributes'] {
  if (attributes === undefined) return undefined;
  return attributes.disableX509SvidPrefetch || attributes.jwtSvidIncludeJti ? attributes : undefined;
}

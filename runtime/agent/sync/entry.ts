// A registration entry as far as an agent is concerned with it, checked when it comes off the wire.
import type { Entry, EntryMask } from '../../../proto/gen/spire/api/types/entry.ts';
import { checkSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

export interface AgentEntry {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly federatesWith: readonly TrustDomain[];
  readonly revisionNumber: number;
  /** Unix seconds; two entries with the same id and revision may be different ones. */
  readonly createdAt: number;
  readonly hint: string;
  /** Delivered to a secret store, never over the Workload API. */
  readonly storeSvid: boolean;
  readonly disableX509SvidPrefetch: boolean;
  readonly jwtSvidIncludeJti: boolean;
  /** Of an admin of the server, or of a server below it: for the workload itself, and for no delegate. */
  readonly admin: boolean;
  readonly downstream: boolean;
}

/** What the agent asks for. */
export const entryMask: EntryMask = {
  spiffeId: true,
  parentId: false,
  selectors: true,
  x509SvidTtl: false,
  federatesWith: true,
  admin: true,
  downstream: true,
  expiresAt: false,
  dnsNames: false,
  revisionNumber: true,
  storeSvid: true,
  jwtSvidTtl: false,
  hint: true,
  createdAt: true,
  additionalAttributes: true,
};

/** Throws where the server sent something that is no entry. */
export function parseEntry(entry: Entry): AgentEntry {
  if (entry.id === '') throw new Error('entry has no id');
  if (entry.spiffeId === undefined) throw new Error('entry has no SPIFFE ID');
  if (entry.selectors.length === 0) throw new Error('entry has no selectors');
  entry.selectors.forEach(checkSelector);
  return {
    id: entry.id,
    spiffeId: createSpiffeId(parseTrustDomain(entry.spiffeId.trustDomain), entry.spiffeId.path),
    selectors: entry.selectors.map(({ type, value }) => ({ type, value })),
    federatesWith: entry.federatesWith.map(parseTrustDomain),
    revisionNumber: entry.revisionNumber,
    createdAt: entry.createdAt,
    hint: entry.hint,
    storeSvid: entry.storeSvid,
    disableX509SvidPrefetch: entry.additionalAttributes?.disableX509SvidPrefetch === true,
    jwtSvidIncludeJti: entry.additionalAttributes?.jwtSvidIncludeJti === true,
    admin: entry.admin,
    downstream: entry.downstream,
  };
}

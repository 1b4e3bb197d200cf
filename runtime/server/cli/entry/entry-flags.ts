// The flags that describe an entry, shared by `entry create` and `entry update`, and the entry that they describe.
import { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import type { FlagSpecs, FlagValues } from '../../../cli/flags.ts';
import { checkInt32 } from '../int32.ts';
import { CommandError } from '../server-command.ts';
import { parseSelectorFlag } from '../wire-id.ts';

export const entryFlags = {
  entryID: {
    kind: 'string',
    default: '',
    help: 'A custom ID for this registration entry (optional). If not set, a new entry ID will be generated',
  },
  parentID: { kind: 'string', default: '', help: "The SPIFFE ID of this record's parent" },
  spiffeID: { kind: 'string', default: '', help: 'The SPIFFE ID that this record represents' },
  x509SVIDTTL: {
    kind: 'number',
    default: 0,
    help: 'The lifetime, in seconds, for x509-SVIDs issued based on this registration entry.',
  },
  jwtSVIDTTL: {
    kind: 'number',
    default: 0,
    help: 'The lifetime, in seconds, for JWT-SVIDs issued based on this registration entry.',
  },
  data: {
    kind: 'string',
    default: '',
    help: "Path to a file containing registration JSON (optional). If set to '-', read the JSON from stdin.",
  },
  selector: { kind: 'list', help: 'A colon-delimited type:value selector. Can be used more than once' },
  federatesWith: { kind: 'list', help: 'SPIFFE ID of a trust domain to federate with. Can be used more than once' },
  admin: {
    kind: 'boolean',
    help: "If set, the SPIFFE ID in this entry will be granted access to the SPIRE Server's management APIs",
  },
  storeSVID: {
    kind: 'boolean',
    help: 'A boolean value that, when set, indicates that the resulting issued SVID from this entry must be stored through an SVIDStore plugin',
  },
  downstream: {
    kind: 'boolean',
    help: 'A boolean value that, when set, indicates that the entry describes a downstream SPIRE server',
  },
  entryExpiry: {
    kind: 'number',
    default: 0,
    help: 'An expiry, from epoch in seconds, for the resulting registration entry to be pruned',
  },
  dns: {
    kind: 'list',
    help: 'A DNS name that will be included in SVIDs issued based on this entry, where appropriate. Can be used more than once',
  },
  hint: { kind: 'string', default: '', help: 'The entry hint, used to disambiguate entries with the same SPIFFE ID' },
  disableX509SVIDPrefetch: {
    kind: 'boolean',
    help: 'A boolean value that, when set, disables prefetching X509 SVID for this entry',
  },
  jwtSVIDIncludeJTI: {
    kind: 'boolean',
    help: "A boolean value that, when set, includes a unique 'jti' claim in JWT-SVIDs issued for this entry and bypasses the agent JWT-SVID cache",
  },
} as const satisfies FlagSpecs;

export type EntryFlagValues = FlagValues<typeof entryFlags>;

export function checkTtls({ x509SVIDTTL, jwtSVIDTTL }: EntryFlagValues): void {
  if (x509SVIDTTL < 0) throw new CommandError('a positive x509-SVID TTL is required');
  if (jwtSVIDTTL < 0) throw new CommandError('a positive JWT-SVID TTL is required');
}

export function entryOf(flags: EntryFlagValues, ids: Pick<Entry, 'spiffeId' | 'parentId'>): Entry {
  const { disableX509SVIDPrefetch, jwtSVIDIncludeJTI } = flags;
  const entry = Entry.create({
    id: flags.entryID,
    downstream: flags.downstream,
    expiresAt: flags.entryExpiry,
    dnsNames: [...flags.dns],
    storeSvid: flags.storeSVID,
    x509SvidTtl: checkInt32('X509 SVID TTL', flags.x509SVIDTTL),
    jwtSvidTtl: checkInt32('JWT SVID TTL', flags.jwtSVIDTTL),
    hint: flags.hint,
    selectors: flags.selector.map(parseSelectorFlag),
    federatesWith: [...flags.federatesWith],
    admin: flags.admin,
  });
  const attributes = { disableX509SvidPrefetch: disableX509SVIDPrefetch, jwtSvidIncludeJti: jwtSVIDIncludeJTI };
  const hasAttributes = disableX509SVIDPrefetch || jwtSVIDIncludeJTI;
  return { ...entry, ...ids, additionalAttributes: hasAttributes ? attributes : undefined };
}

// An entry as people read it, column for column as SPIRE prints it: scripts cut these lines apart.
import type { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import { formatId, formatTime } from '../wire-id.ts';

export function formatEntry(entry: Entry): string {
  const attributes = entry.additionalAttributes;
  const rows: [string, string | undefined][] = [
    ['Entry ID', entry.id === '' ? '(none)' : entry.id],
    ['SPIFFE ID', formatId(entry.spiffeId)],
    ['Parent ID', formatId(entry.parentId)],
    ['Revision', String(entry.revisionNumber)],
    ['Downstream', entry.downstream ? 'true' : undefined],
    ['X509-SVID TTL', formatTtl(entry.x509SvidTtl)],
    ['JWT-SVID TTL', formatTtl(entry.jwtSvidTtl)],
    ['Expiration time', entry.expiresAt === 0 ? undefined : formatTime(entry.expiresAt)],
    ...entry.selectors.map(({ type, value }): [string, string] => ['Selector', `${type}:${value}`]),
    ...entry.federatesWith.map((trustDomain): [string, string] => ['FederatesWith', trustDomain]),
    ...entry.dnsNames.map((name): [string, string] => ['DNS name', name]),
    ['Admin', entry.admin ? 'true' : undefined],
    ['StoreSvid', entry.storeSvid ? 'true' : undefined],
    ['Hint', entry.hint === '' ? undefined : entry.hint],
    ['DisableX509SvidPrefetch', attributes?.disableX509SvidPrefetch === true ? 'true' : undefined],
    ['JwtSvidIncludeJti', attributes?.jwtSvidIncludeJti === true ? 'true' : undefined],
  ];
  const lines = rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(24)}: ${value}\n`]));
  return `${lines.join('')}\n`;
}

function formatTtl(seconds: number): string {
  return seconds === 0 ? 'default' : String(seconds);
}

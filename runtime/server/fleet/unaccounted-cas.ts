// CA certificates that were signed for downstream servers and may still be in use under an authority: those of servers that have not shown that they left
// it. Whoever never reports, a plain SPIRE server above all, is waited for until its certificate ends. Pure.
import type { Authority, Holding } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { DownstreamCa } from '../store/records.ts';

export type UnaccountedCas = Pick<Authority, 'unaccountedCaNotAfter' | 'unaccountedCaHolders'>;

const mostNamed = 20;

export function unaccountedCas(
  authorityId: string,
  signed: readonly DownstreamCa[],
  downstreams: readonly Pick<Holding, 'id' | 'own'>[],
): UnaccountedCas {
  const open = signed.filter(
    ({ issuerId, rootId, requestedBy }) =>
      (issuerId === authorityId || rootId === authorityId) && !hasLeft(authorityId, requestedBy, downstreams),
  );
  const names = new Set(open.map(({ requestedBy }) => (requestedBy === '' ? 'unknown' : requestedBy)));
  return {
    unaccountedCaNotAfter: Math.max(0, ...open.map(({ expiresAt }) => expiresAt)),
    unaccountedCaHolders: [...names].sort().slice(0, mostNamed),
  };
}

/** All processes of that ID that report show another root above their CAs. */
function hasLeft(authorityId: string, spiffeId: string, downstreams: readonly Pick<Holding, 'id' | 'own'>[]): boolean {
  const processes = downstreams.filter(({ id }) => id === spiffeId);
  return (
    processes.length > 0 &&
    processes.every(({ own }) => own !== undefined && !own.x509AuthorityIds.includes(authorityId))
  );
}

// A report as it comes over the wire, checked before it is kept: it is the word of one agent among thousands, so it has bounds.
import type { HeldAuthority, IssuedCertificates, ReportRequest } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { CertificatesBelow, FleetReport, ReportedAuthority } from '../store/fleet-records.ts';

/** A bundle holds a few authorities, a rotation a few more. */
const mostAuthorities = 64;
const mostIssuers = 64;
const deepestChain = 16;
const longestId = 128;
const longestText = 255;
const largestCount = 0xffff_ffff;

/** Throws with what is wrong. */
export function parseReport(request: ReportRequest, now: number): FleetReport {
  const { version, sentAtMs, x509Authorities, jwtAuthorities, own, issued, streams, streamsLagging } = request;
  checkText('version', version, longestText);
  checkCount('issuers', issued.length, mostIssuers);
  if (streamsLagging > streams) throw new Error(`${streamsLagging} of ${streams} streams cannot be lagging`);
  if (sentAtMs <= 0) throw new Error('the report does not say when it was sent');
  return {
    version,
    x509: parseAuthorities('X.509', x509Authorities),
    jwt: parseAuthorities('JWT', jwtAuthorities),
    ...(own === undefined ? {} : { own: parseCertificates(own) }),
    issued: issued.map(parseCertificates),
    streams,
    streamsLagging,
    clockSkewMs: sentAtMs - now,
  };
}

export function parseInstance(instance: string): string {
  checkText('instance', instance, longestText);
  return instance;
}

function parseAuthorities(kind: string, authorities: readonly HeldAuthority[]): ReportedAuthority[] {
  checkCount(`${kind} authorities`, authorities.length, mostAuthorities);
  const ids = new Set(authorities.map(({ authorityId }) => parseId(authorityId)));
  if (ids.size < authorities.length) throw new Error(`an ${kind} authority is named twice`);
  return authorities.map(({ authorityId, tainted }) => ({ authorityId, tainted }));
}

function parseCertificates(certificates: IssuedCertificates): CertificatesBelow {
  const { x509AuthorityIds, count, earliestNotAfter, latestNotAfter } = certificates;
  checkCount('authorities above a certificate', x509AuthorityIds.length, deepestChain);
  if (earliestNotAfter < 0 || latestNotAfter < earliestNotAfter)
    throw new Error(`certificates cannot end between ${earliestNotAfter} and ${latestNotAfter}`);
  if (count > largestCount) throw new Error(`there cannot be ${count} certificates`);
  return { authorityIds: x509AuthorityIds.map(parseId), count, earliestNotAfter, latestNotAfter };
}

function parseId(id: string): string {
  checkText('authority id', id, longestId);
  if (id === '') throw new Error('an authority has no id');
  return id;
}

function checkText(what: string, text: string, longest: number): void {
  if (text.length > longest) throw new Error(`${what} has ${text.length} characters, at most ${longest} are taken`);
  // PostgreSQL has no place for it.
  if (text.includes('\0')) throw new Error(`${what} holds a zero byte`);
}

function checkCount(what: string, count: number, most: number): void {
  if (count > most) throw new Error(`there are ${count} ${what}, at most ${most} are taken`);
}

// What the agent serves, as it tells a server of ours: the authorities of its bundle, what its own SVID and its workloads' hang on, and how many
// streams have been written the present of it.
import type { IssuedCertificates, ReportRequest } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { subjectKeyIdOf } from '../../pki/key-id.ts';
import type { X509Authority } from '../../spiffe/bundle.ts';
import type { SvidCache } from '../cache/svid-cache.ts';

export interface ComposeReportOptions {
  readonly cache: Pick<SvidCache, 'bundle' | 'streams' | 'svids'>;
  readonly svid: Issued | undefined;
  readonly version: string;
  readonly now: number;
}

/** An SVID as far as it is reported. */
interface Issued {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** Epoch ms. */
  readonly notAfter: number;
}

export function composeReport({ cache, svid, version, now }: ComposeReportOptions): ReportRequest {
  const { x509Authorities, jwtAuthorities } = cache.bundle;
  const { open: streams, lagging: streamsLagging } = cache.streams();
  return {
    instance: '',
    version,
    sentAtMs: now,
    x509Authorities: x509Authorities.map((held) => ({ authorityId: idOf(held), tainted: held.tainted === true })),
    jwtAuthorities: jwtAuthorities.map(({ keyId, tainted = false }) => ({ authorityId: keyId, tainted })),
    own: svid === undefined ? undefined : summarize([svid])[0],
    issued: summarize(cache.svids()),
    streams,
    streamsLagging,
  };
}

/** By the authorities above them. */
function summarize(svids: Iterable<Issued>): IssuedCertificates[] {
  const groups = new Map<string, IssuedCertificates>();
  for (const svid of svids) {
    const x509AuthorityIds = authoritiesAbove(svid);
    const key = x509AuthorityIds.join(' ');
    const notAfter = Math.floor(svid.notAfter / 1000);
    const group = groups.get(key) ?? { x509AuthorityIds, count: 0, earliestNotAfter: notAfter, latestNotAfter: 0 };
    group.count += 1;
    group.earliestNotAfter = Math.min(group.earliestNotAfter, notAfter);
    group.latestNotAfter = Math.max(group.latestNotAfter, notAfter);
    groups.set(key, group);
  }
  return [...groups.values()];
}

const above = new WeakMap<readonly Uint8Array[], string[]>();

/** Each certificate of a chain names the key that signed it; the last names the root's. */
function authoritiesAbove({ chain }: Issued): string[] {
  const known = above.get(chain);
  if (known !== undefined) return known;
  const ids = chain.flatMap((der) => {
    const { authorityKeyId } = parseCertificate(der);
    return authorityKeyId === undefined ? [] : [Buffer.from(authorityKeyId).toString('hex')];
  });
  above.set(chain, ids);
  return ids;
}

const ids = new WeakMap<X509Authority, string>();

function idOf(authority: X509Authority): string {
  const known = ids.get(authority);
  if (known !== undefined) return known;
  const certificate = parseCertificate(authority.asn1);
  const id = Buffer.from(certificate.subjectKeyId ?? subjectKeyIdOf(certificate.spki)).toString('hex');
  ids.set(authority, id);
  return id;
}

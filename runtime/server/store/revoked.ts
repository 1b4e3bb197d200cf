// Authorities that were revoked: whoever appends one again, an upstream that still holds it above all, changes nothing.
import { parseCertificate } from '../../pki/certificate.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { findJwtAuthority, findX509Authority, x509AuthorityId } from './bundle-changes.ts';
import type { Query } from './database.ts';
import type { AuthorityKindName } from './records.ts';

export interface Revoked {
  readonly kind: AuthorityKindName;
  readonly authorityId: string;
  /** Unix seconds; 0 is never. */
  readonly expiresAt: number;
}

export type IsRevoked = (kind: AuthorityKindName, authorityId: string) => boolean;

export function revokedX509(bundle: TrustBundle, subjectKeyId: string): Revoked {
  const held = findX509Authority(bundle, subjectKeyId);
  const expiresAt = Math.ceil(parseCertificate(held.asn1).notAfter / 1000);
  return { kind: 'x509', authorityId: x509AuthorityId(held), expiresAt };
}

export function revokedJwt(bundle: TrustBundle, keyId: string): Revoked {
  return { kind: 'jwt', authorityId: keyId, expiresAt: findJwtAuthority(bundle, keyId).expiresAt };
}

/** In the transaction that takes it out of the bundle. */
export async function noteRevoked(query: Query, trustDomain: string, revoked: Revoked): Promise<void> {
  const { kind, authorityId, expiresAt } = revoked;
  const insert = `INSERT INTO revoked_authorities (trust_domain, kind, authority_id, expires_at) VALUES ($1, $2, $3, $4)`;
  await query(`${insert} ON CONFLICT DO NOTHING`, [trustDomain, kind, authorityId, expiresAt]);
}

/** In the transaction that appends: the bundle's row is locked, so nothing is revoked meanwhile. */
export async function readRevoked(query: Query, trustDomain: string): Promise<IsRevoked | undefined> {
  const statement = 'SELECT kind, authority_id AS id FROM revoked_authorities WHERE trust_domain = $1';
  const rows = await query<{ kind: string; id: string }>(statement, [trustDomain]);
  if (rows.length === 0) return undefined;
  const known = new Set(rows.map(({ kind, id }) => `${kind} ${id}`));
  return (kind, id) => known.has(`${kind} ${id}`);
}

export function withoutRevoked(added: TrustBundle, isRevoked: IsRevoked | undefined): TrustBundle {
  if (isRevoked === undefined) return added;
  return {
    ...added,
    x509Authorities: added.x509Authorities.filter((held) => !isRevoked('x509', x509AuthorityId(held))),
    jwtAuthorities: added.jwtAuthorities.filter(({ keyId }) => !isRevoked('jwt', keyId)),
  };
}

/** What would have ended by now cannot come back anyway. */
export async function pruneRevoked(query: Query, trustDomain: string, expiredBefore: number): Promise<number> {
  const statement = `DELETE FROM revoked_authorities
    WHERE trust_domain = $1 AND expires_at > 0 AND expires_at < $2 RETURNING authority_id`;
  return (await query(statement, [trustDomain, expiredBefore])).length;
}

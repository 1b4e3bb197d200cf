// A trust bundle as a row: the authorities in one JSON value, since they are only ever read and changed together.
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';

interface Authorities {
  readonly x509: readonly { readonly asn1: string; readonly tainted?: boolean }[];
  readonly jwt: readonly {
    readonly keyId: string;
    readonly publicKey: string;
    readonly expiresAt: number;
    readonly tainted?: boolean;
  }[];
}

export interface BundleRow {
  readonly seq: number;
  readonly trust_domain: string;
  readonly sequence_number: number;
  readonly refresh_hint_seconds: number;
  readonly authorities: Authorities;
}

/** trust_domain, sequence_number, refresh_hint_seconds, authorities */
export function bundleValues(bundle: TrustBundle): unknown[] {
  const authorities: Authorities = {
    x509: bundle.x509Authorities.map(({ asn1, ...marks }) => ({ asn1: base64(asn1), ...marks })),
    jwt: bundle.jwtAuthorities.map(({ publicKey, ...rest }) => ({ publicKey: base64(publicKey), ...rest })),
  };
  return [bundle.trustDomain.name, bundle.sequenceNumber, bundle.refreshHintSeconds, JSON.stringify(authorities)];
}

export function bundleOfRow(row: BundleRow): TrustBundle {
  return {
    trustDomain: parseTrustDomain(row.trust_domain),
    x509Authorities: row.authorities.x509.map(({ asn1, ...marks }) => ({ asn1: bytes(asn1), ...marks })),
    jwtAuthorities: row.authorities.jwt.map(({ publicKey, ...rest }) => ({ publicKey: bytes(publicKey), ...rest })),
    refreshHintSeconds: row.refresh_hint_seconds,
    sequenceNumber: row.sequence_number,
  };
}

function base64(data: Uint8Array): string {
  return Buffer.from(data).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

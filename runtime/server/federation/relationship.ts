// A federation relationship as a checked value: whose bundle is fetched, from where, and how the endpoint proves that it is the right one.
import type { FederationRelationshipRecord } from '../store/records.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseEndpointUrl } from './endpoint-url.ts';
import type { EndpointUrl } from './endpoint-url.ts';

export type EndpointProfile =
  /** A certificate of the Web PKI for the host of the URL. */
  | { readonly kind: 'https_web' }
  /** An X509-SVID with this ID, under the bundle that is kept of its trust domain. */
  | { readonly kind: 'https_spiffe'; readonly endpointId: SpiffeId };

export interface FederationRelationship {
  readonly trustDomain: TrustDomain;
  readonly url: EndpointUrl;
  readonly profile: EndpointProfile;
}

/** Throws where a record does not hold: it was written by a program that checks less. */
export function relationshipOfRecord(record: FederationRelationshipRecord): FederationRelationship {
  return {
    trustDomain: parseTrustDomain(record.trustDomain),
    url: parseEndpointUrl(record.bundleEndpointUrl),
    profile: profileOfRecord(record),
  };
}

function profileOfRecord({ bundleEndpointProfile, endpointSpiffeId }: FederationRelationshipRecord): EndpointProfile {
  if (bundleEndpointProfile === 'https_web') return { kind: 'https_web' };
  return { kind: 'https_spiffe', endpointId: parseSpiffeId(endpointSpiffeId) };
}

export function recordOfRelationship(relationship: FederationRelationship): FederationRelationshipRecord {
  const { trustDomain, url, profile } = relationship;
  return {
    trustDomain: trustDomain.name,
    bundleEndpointUrl: url.text,
    bundleEndpointProfile: profile.kind,
    endpointSpiffeId: profile.kind === 'https_spiffe' ? profile.endpointId.toString() : '',
  };
}

export function relationshipsEqual(a: FederationRelationship, b: FederationRelationship): boolean {
  const [one, other] = [recordOfRelationship(a), recordOfRelationship(b)];
  return (
    one.trustDomain === other.trustDomain &&
    one.bundleEndpointUrl === other.bundleEndpointUrl &&
    one.bundleEndpointProfile === other.bundleEndpointProfile &&
    one.endpointSpiffeId === other.endpointSpiffeId
  );
}

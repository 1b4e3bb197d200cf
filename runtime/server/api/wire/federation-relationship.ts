// Federation relationships between the API and our values. The refusals are SPIRE's, word for word where a client can see them.
import type {
  FederationRelationship as WireRelationship,
  FederationRelationshipMask,
} from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import type { TrustBundle } from '../../../spiffe/bundle.ts';
import { parseSpiffeId } from '../../../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { parseEndpointUrl } from '../../federation/endpoint-url.ts';
import type { EndpointProfile, FederationRelationship } from '../../federation/relationship.ts';
import type { FederationRelationshipWithBundle } from '../../store/records.ts';
import { encodeBundle, parseBundle } from './bundle.ts';

export interface ParsedRelationship extends FederationRelationship {
  /** As given, to be kept. */
  readonly bundle?: TrustBundle;
}

export function parseRelationship(wire: WireRelationship): ParsedRelationship {
  const trustDomain = within('failed to parse trust domain', () => parseTrustDomain(wire.trustDomain));
  const url = parseEndpointUrl(wire.bundleEndpointUrl);
  const profile = parseProfile(wire);
  if (wire.trustDomainBundle === undefined) return { trustDomain, url, profile };
  const wireBundle = wire.trustDomainBundle;
  const bundle = within('failed to parse bundle', () => parseBundle(wireBundle));
  checkBundleOf(trustDomain, bundle, wireBundle.trustDomain);
  return { trustDomain, url, profile, bundle };
}

function checkBundleOf(trustDomain: TrustDomain, bundle: TrustBundle, name: string): void {
  if (bundle.trustDomain.equals(trustDomain)) return;
  const want = `must match the trust domain of the federation relationship (${JSON.stringify(trustDomain.name)})`;
  throw new Error(`trust domain bundle (${JSON.stringify(name)}) ${want}`);
}

function parseProfile({ bundleEndpointProfile: profile }: WireRelationship): EndpointProfile {
  if (profile === undefined) throw new Error('unsupported bundle endpoint profile type: <nil>');
  if (profile.$case === 'httpsWeb') return { kind: 'https_web' };
  const { endpointSpiffeId } = profile.value;
  const endpointId = within('failed to parse endpoint SPIFFE ID', () => parseSpiffeId(endpointSpiffeId));
  return { kind: 'https_spiffe', endpointId };
}

export function encodeRelationship(
  relationship: FederationRelationshipWithBundle,
  mask: FederationRelationshipMask | undefined,
): WireRelationship {
  const has = (field: keyof FederationRelationshipMask) => mask === undefined || mask[field];
  const { bundle } = relationship;
  return {
    trustDomain: relationship.trustDomain,
    bundleEndpointUrl: has('bundleEndpointUrl') ? relationship.bundleEndpointUrl : '',
    bundleEndpointProfile: has('bundleEndpointProfile') ? encodeProfile(relationship) : undefined,
    trustDomainBundle: bundle !== undefined && has('trustDomainBundle') ? encodeBundle(bundle, undefined) : undefined,
  };
}

function encodeProfile({
  bundleEndpointProfile,
  endpointSpiffeId,
}: FederationRelationshipWithBundle): WireRelationship['bundleEndpointProfile'] {
  if (bundleEndpointProfile === 'https_web') return { $case: 'httpsWeb', value: {} };
  return { $case: 'httpsSpiffe', value: { endpointSpiffeId } };
}

function within<T>(problem: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(`${problem}: ${(cause as Error).message}`, { cause });
  }
}

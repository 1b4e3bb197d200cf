// A federation relationship as flags and files describe it, turned into the API's message. What SPIRE checks before it asks the server is checked here.
import type { FederationRelationship } from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import type { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { parseCertificate } from '../../../pki/certificate.ts';
import { certificatesFromPem } from '../../../pki/pem.ts';
import { parseSpiffeBundle } from '../../../spiffe/bundle.ts';
import { parseSpiffeId } from '../../../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { CommandError } from '../server-command.ts';

export interface RelationshipDescription {
  readonly trustDomain: string;
  readonly bundleEndpointURL: string;
  readonly bundleEndpointProfile: string;
  readonly endpointSpiffeID: string;
  /** Already read; `text` is PEM, or a SPIFFE bundle document. */
  readonly bundle?: { readonly format: string; readonly text: string };
}

export function relationshipOf(description: RelationshipDescription): FederationRelationship {
  const { trustDomain, bundleEndpointURL: bundleEndpointUrl, bundle } = description;
  if (trustDomain === '') throw new CommandError('trust domain is required');
  if (bundleEndpointUrl === '') throw new CommandError('bundle endpoint URL is required');
  const { bundleEndpointProfile, bundleTrustDomain } = profileOf(description);
  return {
    trustDomain,
    bundleEndpointUrl,
    bundleEndpointProfile,
    trustDomainBundle: bundle && parseBundle(bundle.text, bundle.format, bundleTrustDomain),
  };
}

/** The bundle is named after the endpoint's trust domain, as in SPIRE; the server refuses where that is not the relationship's. */
function profileOf(description: RelationshipDescription) {
  const { bundleEndpointProfile: name, endpointSpiffeID: endpointSpiffeId, trustDomain } = description;
  if (name === 'https_web')
    return { bundleEndpointProfile: { $case: 'httpsWeb', value: {} } as const, bundleTrustDomain: trustDomain };
  if (name !== 'https_spiffe') throw new CommandError(`unknown bundle endpoint profile type: ${JSON.stringify(name)}`);
  if (endpointSpiffeId === '')
    throw new CommandError("endpoint SPIFFE ID is required if 'https_spiffe' endpoint profile is set");
  const id = within('cannot parse bundle endpoint SPIFFE ID', () => parseSpiffeId(endpointSpiffeId));
  const bundleEndpointProfile = { $case: 'httpsSpiffe', value: { endpointSpiffeId } } as const;
  return { bundleEndpointProfile, bundleTrustDomain: id.trustDomain.name };
}

function parseBundle(text: string, format: string, trustDomain: string): Bundle {
  if (format === 'pem') return pemBundle(text, trustDomain);
  if (format !== 'spiffe') throw new CommandError(`bundle format ${JSON.stringify(format)} is unsupported`);
  const bundle = within('unable to parse to spiffe bundle', () =>
    parseSpiffeBundle(parseTrustDomain(trustDomain), text),
  );
  return {
    trustDomain,
    x509Authorities: bundle.x509Authorities.map(({ asn1 }) => ({ asn1, tainted: false })),
    jwtAuthorities: bundle.jwtAuthorities.map((authority) => ({ ...authority, tainted: false })),
    refreshHint: bundle.refreshHintSeconds,
    sequenceNumber: bundle.sequenceNumber,
    witAuthorities: [],
  };
}

function pemBundle(text: string, trustDomain: string): Bundle {
  if (!text.includes('-----BEGIN ')) throw new CommandError('unable to parse bundle data: no PEM blocks');
  const ders = within('unable to parse bundle data', () =>
    certificatesFromPem(text).map((der) => parseCertificate(der).der),
  );
  return {
    trustDomain,
    x509Authorities: ders.map((asn1) => ({ asn1, tainted: false })),
    jwtAuthorities: [],
    refreshHint: 0,
    sequenceNumber: 0,
    witAuthorities: [],
  };
}

/** What is wrong, after what it is about. */
export function within<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw new CommandError(`${what}: ${(cause as Error).message}`);
  }
}

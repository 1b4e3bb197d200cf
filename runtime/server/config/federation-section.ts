// `server { federation { … } }`: the bundle endpoint, and the trust domains that the configuration federates with. SPIRE's keys; ACME is known by
// name and refused, since an endpoint without its certificate is none.
import * as z from 'zod';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseEndpointUrl } from '../federation/endpoint-url.ts';
import { shortestHintMs } from '../federation/refresh-interval.ts';
import type { EndpointProfile, FederationRelationship } from '../federation/relationship.ts';
import type { ServingCertificateFiles } from '../federation/serving-certificate.ts';
import { block, duration, parsed, port, text } from './hcl-schema.ts';

export interface BundleEndpointConfig {
  readonly host: string;
  readonly port: number;
  readonly refreshHintSeconds: number;
  readonly profile:
    { readonly kind: 'https_spiffe' } | { readonly kind: 'https_web'; readonly files: ServingCertificateFiles };
}

export interface FederationConfig {
  /** Absent where none is served. */
  readonly bundleEndpoint?: BundleEndpointConfig;
  readonly federatesWith: readonly FederationRelationship[];
}

const noAcme = z.undefined({ error: 'ACME is not supported yet, want serving_cert_file' }).optional();

const servingCertificate = z.strictObject({
  cert_file_path: text,
  key_file_path: text,
  // Looking at two small files costs nothing; SPIRE's default of an hour would serve an expired certificate that was renewed long ago.
  file_sync_interval: duration.default(10_000),
});

const webProfile = z.strictObject({
  acme: noAcme,
  serving_cert_file: block(
    z.strictObject(servingCertificate.shape, { error: "'acme' or 'serving_cert_file' is required" }),
  ),
});

const wantOneProfile = 'exactly one bundle endpoint profile is expected';

/** `profile "<name>" { … }`, of which there is one: several blocks come as a list. */
function oneOf<T extends z.ZodRawShape>(shape: T) {
  return block(
    z
      .strictObject(shape, { error: ({ code }) => (code === 'invalid_type' ? wantOneProfile : undefined) })
      .partial()
      .refine((profiles) => Object.keys(profiles).length === 1, { error: wantOneProfile }),
  );
}

const endpointProfile = oneOf({ https_web: block(webProfile), https_spiffe: block(z.strictObject({})) });

const bundleEndpoint = z.strictObject({
  address: text.default('0.0.0.0'),
  port,
  refresh_hint: duration.default(5 * 60_000),
  acme: noAcme,
  profile: endpointProfile.optional(),
});

const federatesWith = z.strictObject({
  bundle_endpoint_url: parsed(parseEndpointUrl),
  bundle_endpoint_profile: oneOf({
    https_web: block(z.strictObject({})),
    https_spiffe: block(z.strictObject({ endpoint_spiffe_id: parsed(parseSpiffeId) })),
  }),
});

/** Several blocks, each with its label, as one object. Two labels may name one trust domain, with and without `spiffe://`. */
const labelled = z
  .array(z.record(z.string(), z.unknown()))
  .transform((blocks, context) => {
    const all = blocks.flatMap((one) => Object.entries(one));
    const seen = new Set<string>();
    for (const [label] of all) {
      const name = trustDomainName(label, (message) => context.addIssue({ code: 'custom', message, path: [label] }));
      if (seen.has(name)) context.addIssue({ code: 'custom', message: 'stands twice', path: [label] });
      seen.add(name);
    }
    return Object.fromEntries(all);
  })
  .pipe(z.record(z.string(), block(federatesWith)));

function trustDomainName(label: string, fault: (message: string) => void): string {
  try {
    return parseTrustDomain(label).name;
  } catch (error) {
    fault((error as Error).message);
    return label;
  }
}

export const federationSection = block(
  z.strictObject({ bundle_endpoint: block(bundleEndpoint).optional(), federates_with: labelled.optional() }),
);

export type FederationSection = z.output<typeof federationSection>;

/** What only the trust domain of the server can tell. */
export function federationFaults(section: FederationSection | undefined, own: TrustDomain): string[] {
  return Object.keys(section?.federates_with ?? {})
    .filter((name) => parseTrustDomain(name).equals(own))
    .map((name) => `server.federation.federates_with.${name}: a server does not federate with its own trust domain`);
}

export function federationConfig(section: FederationSection | undefined): FederationConfig {
  const federatesWith = Object.entries(section?.federates_with ?? {}).map(([name, relationship]) => ({
    trustDomain: parseTrustDomain(name),
    url: relationship.bundle_endpoint_url,
    profile: profileOf(relationship.bundle_endpoint_profile),
  }));
  const endpoint = section?.bundle_endpoint;
  if (endpoint === undefined) return { federatesWith };
  return { bundleEndpoint: endpointConfig(endpoint), federatesWith };
}

function profileOf({
  https_spiffe: spiffe,
}: z.output<typeof federatesWith>['bundle_endpoint_profile']): EndpointProfile {
  return spiffe === undefined ? { kind: 'https_web' } : { kind: 'https_spiffe', endpointId: spiffe.endpoint_spiffe_id };
}

function endpointConfig(section: z.output<typeof bundleEndpoint>): BundleEndpointConfig {
  const { address: host, port: number, refresh_hint: hint, profile } = section;
  const web = profile?.https_web?.serving_cert_file;
  const common = { host, port: number, refreshHintSeconds: Math.floor(hint / 1000) };
  if (web === undefined) return { ...common, profile: { kind: 'https_spiffe' } };
  const files = {
    certificatePath: web.cert_file_path,
    keyPath: web.key_file_path,
    syncIntervalMs: web.file_sync_interval,
  };
  return { ...common, profile: { kind: 'https_web', files } };
}

/** SPIRE's advice. */
export function federationWarnings(section: FederationSection | undefined): string[] {
  const endpoint = section?.bundle_endpoint;
  if (endpoint === undefined) return [];
  const { refresh_hint: hint, profile } = endpoint;
  const warnings: string[] = [];
  if (hint >= 24 * 3_600_000)
    warnings.push(
      "Bundle endpoint refresh hint set to a high value. To cover the case of unscheduled trust bundle updates, it's recommended to have a smaller value, e.g. 5m",
    );
  if (hint < shortestHintMs)
    warnings.push('Bundle endpoint refresh hint set too low. SPIRE will not refresh more often than 1 minute');
  if (profile === undefined)
    warnings.push(
      'Bundle endpoint is configured but has no profile set, using https_spiffe as default; please configure a profile explicitly. This will be fatal in a future release.',
    );
  return warnings;
}

// ClusterFederatedTrustDomain (spire.spiffe.io/v1alpha1): a federation relationship of the server.
import { z } from 'zod';
import { parseSpiffeBundle } from '../../../runtime/spiffe/bundle-document.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { TrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import type { Relationship } from '../federation/relationship.ts';
import { parsedBy, readSpec, text } from './read-spec.ts';

const profile = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('https_web'),
    endpointSPIFFEID: z.literal('', 'is not for https_web').nullish(),
  }),
  z.object({
    type: z.literal('https_spiffe'),
    endpointSPIFFEID: z.string().transform(parsedBy((value: string) => parseSpiffeId(value).toString())),
  }),
]);

const schema = z
  .object({
    trustDomain: z.string().transform(parsedBy((value: string) => TrustDomain.fromName(value))),
    bundleEndpointURL: z.string().transform(parsedBy(checkUrl)),
    bundleEndpointProfile: profile,
    trustDomainBundle: text,
    className: text,
  })
  .transform(
    parsedBy((spec): Relationship => {
      const { trustDomain, bundleEndpointURL, bundleEndpointProfile, trustDomainBundle } = spec;
      return {
        trustDomain: trustDomain.name,
        url: bundleEndpointURL,
        endpointId: bundleEndpointProfile.type === 'https_spiffe' ? bundleEndpointProfile.endpointSPIFFEID : undefined,
        bundle: trustDomainBundle === '' ? undefined : parseSpiffeBundle(trustDomain, trustDomainBundle),
      };
    }),
  );

/** Throws a SpecError with every fault. */
export function parseFederatedTrustDomain(spec: unknown): Relationship {
  return readSpec(schema, spec);
}

function checkUrl(value: string): string {
  if (!URL.canParse(value)) throw new Error(`${JSON.stringify(value)} is no URL`);
  const { protocol, username, password } = new URL(value);
  if (protocol !== 'https:') throw new Error(`${JSON.stringify(value)} is not https`);
  if (username !== '' || password !== '') throw new Error('the URL holds a user name or a password');
  return value;
}

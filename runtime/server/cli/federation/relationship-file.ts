// Federation relationships in a file, for `-data`: `{ "federationRelationships": [{ "trustDomain": …, "bundleEndpointURL": … }] }`. Keys in any case,
// since Go's reader takes them so and SPIRE's own examples spell one of them in two ways.
import * as z from 'zod';
import type { FederationRelationship } from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import { CommandError } from '../server-command.ts';
import { relationshipOf, within } from './relationship.ts';

const relationship = z
  .preprocess(
    lowerKeys,
    z.object({
      trustdomain: z.string().default(''),
      bundleendpointurl: z.string().default(''),
      bundleendpointprofile: z.string().default(''),
      endpointspiffeid: z.string().default(''),
      trustdomainbundle: z.unknown().optional(),
      trustdomainbundleformat: z.string().default(''),
    }),
  )
  .transform((fields) => ({
    trustDomain: fields.trustdomain,
    bundleEndpointURL: fields.bundleendpointurl,
    bundleEndpointProfile: fields.bundleendpointprofile,
    endpointSpiffeID: fields.endpointspiffeid,
    rawBundle: fields.trustdomainbundle,
    format: fields.trustdomainbundleformat,
  }));

const file = z.preprocess(lowerKeys, z.object({ federationrelationships: z.array(relationship).default([]) }));

type InFile = z.output<typeof relationship>;

export function parseRelationshipFile(text: string): FederationRelationship[] {
  const result = file.safeParse(within('failed to parse JSON', () => JSON.parse(text) as unknown));
  if (!result.success) throw new CommandError(`failed to parse JSON: ${z.prettifyError(result.error)}`);
  return result.data.federationrelationships.map((one, index) =>
    within(`could not parse item ${index}`, () => relationshipInFile(one)),
  );
}

function relationshipInFile({ rawBundle, format, ...description }: InFile): FederationRelationship {
  if (rawBundle === undefined || rawBundle === null) return relationshipOf(description);
  // Everything but the bundle is looked at first, as its faults are named without the bundle's.
  relationshipOf(description);
  return within('cannot parse bundle raw message', () =>
    relationshipOf({ ...description, bundle: { format, text: bundleText(rawBundle, format) } }),
  );
}

/** PEM stands in a string, a document as it is. */
function bundleText(raw: unknown, format: string): string {
  if (format !== 'pem') return JSON.stringify(raw);
  if (typeof raw !== 'string') throw new Error('failed to unmarshal json: want a string of PEM blocks');
  return raw;
}

function lowerKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key.toLowerCase(), field as unknown]));
}

// The flags of `federation create` and `federation update`: one relationship, or a file of many.
import type { FederationRelationship } from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import type { FlagSpecs, FlagValues } from '../../../cli/flags.ts';
import { CommandError } from '../server-command.ts';
import type { Terminal } from '../terminal.ts';
import { relationshipOf, within } from './relationship.ts';
import { parseRelationshipFile } from './relationship-file.ts';

export const relationshipFlags = {
  data: {
    kind: 'string',
    default: '',
    help: "Path to a file containing federation relationships in JSON format (optional). If set to '-', read the JSON from stdin.",
  },
  trustDomain: {
    kind: 'string',
    default: '',
    help: 'Name of the trust domain to federate with (e.g., example.org)',
  },
  bundleEndpointURL: {
    kind: 'string',
    default: '',
    help: 'URL of the SPIFFE bundle endpoint that provides the trust bundle (must use the HTTPS protocol)',
  },
  bundleEndpointProfile: {
    kind: 'string',
    default: '',
    help: 'Endpoint profile type (either "https_web" or "https_spiffe")',
  },
  endpointSpiffeID: {
    kind: 'string',
    default: '',
    help: "SPIFFE ID of the SPIFFE bundle endpoint server. Only used for 'spiffe' profile.",
  },
  trustDomainBundlePath: { kind: 'string', default: '', help: 'Path to the trust domain bundle data (optional).' },
  trustDomainBundleFormat: {
    kind: 'string',
    default: 'pem',
    help: 'The format of the bundle data (optional). Either "pem" or "spiffe".',
  },
} as const satisfies FlagSpecs;

export function parseRelationshipFlags(
  flags: FlagValues<typeof relationshipFlags>,
  { readFile }: Pick<Terminal, 'readFile'>,
): FederationRelationship[] {
  const { data, trustDomainBundlePath: path, trustDomainBundleFormat: format } = flags;
  const { trustDomain, bundleEndpointURL, bundleEndpointProfile, endpointSpiffeID } = flags;
  const description = { trustDomain, bundleEndpointURL, bundleEndpointProfile, endpointSpiffeID };
  if (data !== '') {
    if (format !== 'pem' || [path, ...Object.values(description)].some((value) => value !== ''))
      throw new CommandError("cannot use other flags to specify relationship fields when 'data' flag is set");
    return parseRelationshipFile(readFile(data));
  }
  const relationship = relationshipOf(description);
  if (path === '') return [relationship];
  const text = within('cannot read bundle file', () => readFile(path));
  return [within('cannot parse bundle file', () => relationshipOf({ ...description, bundle: { format, text } }))];
}

// `bundle show` and `bundle count`.
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import { certificatesToPem } from '../../pki/pem.ts';
import { createClient } from '../../rpc/client.ts';
import { encodeSpiffeBundle } from '../../spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { CommandError, plural, serverCommand } from './server-command.ts';

export const bundleShow = serverCommand({
  name: 'bundle show',
  synopsis: 'Prints server CA bundle to stdout',
  flags: {
    format: {
      kind: 'string',
      default: 'pem',
      help: 'The format to show the bundle (only pretty output format supports this flag). Either "pem" or "spiffe".',
    },
  },
  async run({ flags, channel, terminal, print }) {
    const bundle = await createClient(BundleService, channel).getBundle({ outputMask: undefined });
    print(bundle, () => terminal.out(formatBundle(bundle, flags.format)));
  },
});

function formatBundle(bundle: Bundle, format: string): string {
  switch (format.toLowerCase()) {
    case '':
    case 'pem':
      return certificatesToPem(bundle.x509Authorities.map(({ asn1 }) => asn1));
    case 'spiffe':
      return `${JSON.stringify(JSON.parse(formatSpiffe(bundle)), undefined, 4)}\n`;
    default:
      throw new CommandError(`invalid format: "${format.toLowerCase()}"`);
  }
}

function formatSpiffe({ trustDomain, x509Authorities, jwtAuthorities, refreshHint, sequenceNumber }: Bundle): string {
  return encodeSpiffeBundle({
    trustDomain: parseTrustDomain(trustDomain),
    x509Authorities,
    jwtAuthorities,
    refreshHintSeconds: refreshHint,
    sequenceNumber,
  });
}

export const bundleCount = serverCommand({
  name: 'bundle count',
  synopsis: 'Count bundles',
  flags: {},
  async run({ channel, terminal, print }) {
    const response = await createClient(BundleService, channel).countBundles({});
    print(response, () => terminal.out(`${plural(response.count, 'bundle', 'bundles')}\n`));
  },
});

// `bundle show` and `bundle count`.
import { BundleService } from '../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { createClient } from '../../../rpc/client.ts';
import { plural, serverCommand } from '../server-command.ts';
import { formatBundle, formatFlag, parseFormat } from './format.ts';

export const bundleShow = serverCommand({
  name: 'bundle show',
  synopsis: 'Prints server CA bundle to stdout',
  flags: { format: formatFlag('The format to show the bundle (only pretty output format supports this flag).') },
  async run({ flags, channel, terminal, print }) {
    const bundle = await createClient(BundleService, channel).getBundle({ outputMask: undefined });
    print(bundle, () => terminal.out(formatBundle(bundle, parseFormat(flags.format))));
  },
});

export const bundleCount = serverCommand({
  name: 'bundle count',
  synopsis: 'Count bundles',
  flags: {},
  async run({ channel, terminal, print }) {
    const response = await createClient(BundleService, channel).countBundles({});
    print(response, () => terminal.out(`${plural(response.count, 'bundle', 'bundles')}\n`));
  },
});

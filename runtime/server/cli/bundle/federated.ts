// `bundle list`, `bundle set` and `bundle delete`: the bundles of other trust domains.
import {
  BatchDeleteFederatedBundleRequest_Mode as DeleteMode,
  BundleService,
} from '../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type { Status } from '../../../../proto/gen/spire/api/types/status.ts';
import { createClient } from '../../../rpc/client.ts';
import { CommandError, serverCommand } from '../server-command.ts';
import { formatBundle, formatFlag, parseBundle, parseFormat } from './format.ts';

const idFlag = { kind: 'string', default: '', help: 'SPIFFE ID of the trust domain' } as const;
const stars = '*'.repeat(40);

export const bundleList = serverCommand({
  name: 'bundle list',
  synopsis: 'Lists federated bundle data',
  flags: {
    id: idFlag,
    format: formatFlag('The format to list federated bundles (only pretty output format supports this flag).'),
  },
  async run({ flags: { id, format }, channel, terminal, print }) {
    const client = createClient(BundleService, channel);
    if (id !== '') {
      const bundle = await client.getFederatedBundle({ trustDomain: id, outputMask: undefined });
      print(bundle, () => terminal.out(formatBundle(bundle, parseFormat(format))));
      return;
    }
    const response = await client.listFederatedBundles({ outputMask: undefined, pageSize: 0, pageToken: '' });
    print(response, () => {
      for (const [index, bundle] of response.bundles.entries()) {
        const body = formatBundle(bundle, parseFormat(format));
        terminal.out(`${index === 0 ? '' : '\n'}${stars}\n* ${bundle.trustDomain}\n${stars}\n${body}`);
      }
    });
  },
});

export const bundleSet = serverCommand({
  name: 'bundle set',
  synopsis: 'Creates or updates federated bundle data',
  flags: {
    id: idFlag,
    path: { kind: 'string', default: '', help: 'Path to the bundle data' },
    format: formatFlag('The format of the bundle data.'),
  },
  async run({ flags, channel, terminal, print }) {
    if (flags.id === '') throw new CommandError('id flag is required');
    const format = parseFormat(flags.format);
    const bundle = parseBundle(
      loadBundle(() => terminal.readFile(flags.path === '' ? '-' : flags.path)),
      format,
      flags.id,
    );
    const response = await createClient(BundleService, channel)
      .batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined })
      .catch((cause: unknown) => {
        throw new CommandError('failed to set federated bundle', { cause });
      });
    print(response, () => {
      const reason = refusalOf(response.results[0]?.status);
      if (reason !== undefined) throw new CommandError(`failed to set federated bundle: ${reason}`);
      terminal.out('bundle set.\n');
    });
  },
});

export const bundleDelete = serverCommand({
  name: 'bundle delete',
  synopsis: 'Deletes federated bundle data',
  flags: {
    id: idFlag,
    mode: { kind: 'string', default: 'restrict', help: 'Deletion mode: one of restrict, delete, or dissociate' },
  },
  async run({ flags, channel, terminal, print }) {
    if (flags.id === '') throw new CommandError('id is required');
    const mode = parseMode(flags.mode);
    const response = await createClient(BundleService, channel)
      .batchDeleteFederatedBundle({ trustDomains: [flags.id], mode })
      .catch((cause: unknown) => {
        throw new CommandError('failed to delete federated bundle', { cause });
      });
    print(response, () => {
      const [result] = response.results;
      const reason = refusalOf(result?.status);
      if (reason !== undefined) {
        throw new CommandError(`failed to delete federated bundle ${JSON.stringify(result?.trustDomain)}: ${reason}`);
      }
      terminal.out('bundle deleted.\n');
    });
  },
});

const modes: ReadonlyMap<string, DeleteMode> = new Map([
  ['', DeleteMode.RESTRICT],
  ['restrict', DeleteMode.RESTRICT],
  ['dissociate', DeleteMode.DISSOCIATE],
  ['delete', DeleteMode.DELETE],
]);

function parseMode(text: string): DeleteMode {
  const mode = modes.get(text);
  if (mode === undefined) throw new CommandError(`unsupported mode ${JSON.stringify(text)}`);
  return mode;
}

function loadBundle(read: () => string): string {
  try {
    return read();
  } catch (cause) {
    throw new CommandError('unable to load bundle data', { cause });
  }
}

/** Undefined where all went well. */
function refusalOf(status: Status | undefined): string | undefined {
  return status?.code === 0 ? undefined : (status?.message ?? 'server response has no result');
}

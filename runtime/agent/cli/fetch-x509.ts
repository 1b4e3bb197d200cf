// `api fetch` and `api fetch x509`: what the Workload API gives to this very process.
import type { X509SVIDResponse } from '../../../proto/gen/spiffe/workload/workload.ts';
import { parseFlags } from '../../cli/flags.ts';
import { outputFlag } from '../../cli/output-flag.ts';
import type { Command } from './terminal.ts';
import { apiFlags, firstOf, withWorkloadClient } from './workload-client.ts';
import { parseResponse, printSvids, writeSvids } from './x509-output.ts';

export const fetchX509Flags = {
  ...apiFlags,
  ...outputFlag,
  silent: { kind: 'boolean', help: 'Suppress stdout' },
  write: {
    kind: 'string',
    default: '',
    help: 'Write SVID data to the specified path (optional; only available for pretty output format)',
  },
} as const;

export const fetchX509: Command = async (argv, { terminal, env, signal }) => {
  const { values } = parseFlags(argv, fetchX509Flags);
  const start = performance.now();
  const response = await withWorkloadClient({ ...values, env, signal }, ({ api, call }) =>
    firstOf(api.fetchX509Svid({}, call)),
  );
  if (values.output === 'json') {
    terminal.print(JSON.stringify(jsonOf(response)));
    return 0;
  }
  const received = parseResponse(response, Date.now());
  if (!values.silent) printSvids(terminal, received, Math.round(performance.now() - start));
  if (values.write !== '') await writeSvids(terminal, values.write, received);
  return 0;
};

/** Protobuf's JSON with the names of the .proto file. */
function jsonOf({ svids, crl, federatedBundles }: X509SVIDResponse): unknown {
  const bundles = Object.entries(federatedBundles).map(([name, der]) => [name, base64(der)] as const);
  return {
    crl: crl.map(base64),
    federated_bundles: Object.fromEntries(bundles),
    svids: svids.map(({ spiffeId, x509Svid, x509SvidKey, bundle, hint }) => ({
      bundle: base64(bundle),
      hint,
      spiffe_id: spiffeId,
      x509_svid: base64(x509Svid),
      x509_svid_key: base64(x509SvidKey),
    })),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

// `api watch`: prints each update of this process's X.509-SVIDs until it is interrupted.
import { setTimeout as delay } from 'node:timers/promises';
import { parseFlags } from '../../cli/flags.ts';
import { RpcError, rpcErrorText, statusCode } from '../../rpc/status.ts';
import type { Command } from './terminal.ts';
import { socketFlags } from './socket-path.ts';
import { withWorkloadClient } from './workload-client.ts';
import { parseResponse, printSvids } from './x509-output.ts';
import type { ReceivedSvids } from './x509-output.ts';

export { socketFlags as watchFlags };

const retryMs = 1_000;

export const watch: Command = async (argv, { terminal, env, signal }) => {
  const { values } = parseFlags(argv, socketFlags);
  let last = performance.now();
  await withWorkloadClient({ ...values, env, signal }, async ({ api, call }) => {
    while (!signal.aborted) {
      try {
        for await (const response of api.fetchX509Svid({}, call)) {
          const received = withoutDetails(parseResponse(response, Date.now()));
          printSvids(terminal, received, Math.round(performance.now() - last));
          last = performance.now();
        }
      } catch (error) {
        if (!(error instanceof RpcError) || error.code === statusCode.INVALID_ARGUMENT) throw error;
        if (error.code !== statusCode.CANCELLED) terminal.printError(rpcErrorText(error));
      }
      await delay(retryMs, undefined, { signal }).catch(() => undefined); // aborted: the loop sees it
    }
  });
  return 0;
};

/** SPIRE's watch shows no hints, and trust domains by their bare names. */
function withoutDetails({ svids, federatedBundles }: ReceivedSvids): ReceivedSvids {
  return {
    svids: svids.map((svid) => ({ ...svid, hint: '' })),
    federatedBundles: federatedBundles.map(([id, bundle]) => [id.replace('spiffe://', ''), bundle]),
  };
}

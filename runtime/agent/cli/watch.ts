// `api watch`: prints each update of this process's X.509-SVIDs until it is interrupted.
import { setTimeout as delay } from 'node:timers/promises';
import { parseFlags } from '../../cli/flags.ts';
import { RpcError, rpcErrorText, statusCode } from '../../rpc/status.ts';
import type { Command } from './terminal.ts';
import { socketFlag, withWorkloadClient } from './workload-client.ts';
import { parseResponse, printSvids } from './x509-output.ts';

export { socketFlag as watchFlags };

const retryMs = 1_000;

export const watch: Command = async (argv, { terminal, signal }) => {
  const { values } = parseFlags(argv, socketFlag);
  let last = performance.now();
  await withWorkloadClient({ ...values, signal }, async ({ api, call }) => {
    while (!signal.aborted) {
      try {
        for await (const response of api.fetchX509Svid({}, call)) {
          printSvids(terminal, parseResponse(response), Math.round(performance.now() - last));
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

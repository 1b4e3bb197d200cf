// The function's server: gRPC over mutual TLS. Crossplane's certificate is required, where its own SDK takes callers without one.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { FunctionRunnerServiceService } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import type { FunctionRunnerServiceServer } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { runFunction } from './run-function.ts';

/** A trust domain's resources in one message, as large as Crossplane sends them. */
const maximumMessageBytes = 64 * 1024 * 1024;

export interface RunningFunction {
  readonly port: number;
  stop(): Promise<void>;
}

/** A folder with `tls.crt`, `tls.key` and `ca.crt`, as Crossplane mounts it; `insecure` must be asked for by name. */
export type Certificates = { readonly directory: string } | 'insecure';

export async function serveFunction(address: string, certificates: Certificates): Promise<RunningFunction> {
  const server = new Server({
    'grpc.max_receive_message_length': maximumMessageBytes,
    'grpc.max_send_message_length': maximumMessageBytes,
  });
  const implementation: FunctionRunnerServiceServer = {
    runFunction(call, callback) {
      try {
        callback(null, runFunction(call.request));
      } catch (cause) {
        callback({ code: status.INTERNAL, details: (cause as Error).message });
      }
    },
  };
  server.addService(FunctionRunnerServiceService, implementation);
  const credentials = await loadCredentials(certificates);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return {
    port,
    stop: () =>
      new Promise((resolve, reject) => {
        server.tryShutdown((error) => {
          if (error) reject(error);
          else resolve();
        });
      }),
  };
}

async function loadCredentials(certificates: Certificates): Promise<ServerCredentials> {
  if (certificates === 'insecure') return ServerCredentials.createInsecure();
  const read = (name: string): Promise<Buffer> => readFile(join(certificates.directory, name));
  const [ca, certificate, key] = await Promise.all([read('ca.crt'), read('tls.crt'), read('tls.key')]);
  return ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], true);
}

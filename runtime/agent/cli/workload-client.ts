// A connection to the Workload API for one command: as a workload makes it, with the answers as they come over the wire.
import { SpiffeWorkloadAPIService } from '../../../proto/gen/spiffe/workload/workload.ts';
import { connect, createClient } from '../../rpc/client.ts';
import type { CallOptions, Client } from '../../rpc/service.ts';
import { resolveSocketPath, socketFlags } from './socket-path.ts';
import type { SocketChoice } from './socket-path.ts';
import { CommandError } from './terminal.ts';

export const apiFlags = {
  ...socketFlags,
  timeout: { kind: 'duration', hasReason: true, default: 5_000, help: 'Time to wait for a response' },
} as const;

export interface WorkloadClient {
  readonly api: Client<typeof SpiffeWorkloadAPIService>;
  readonly call: CallOptions;
}

export interface WithClientOptions extends SocketChoice {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Of each call; without it a stream may last. */
  readonly timeout?: number;
}

export async function withWorkloadClient<T>(
  { env, signal, timeout, ...choice }: WithClientOptions,
  use: (client: WorkloadClient) => Promise<T>,
): Promise<T> {
  const channel = connect({ unixPath: resolveSocketPath(choice, env) });
  const limits = timeout === undefined ? {} : { deadlineMs: timeout };
  try {
    return await use({
      api: createClient(SpiffeWorkloadAPIService, channel),
      call: { metadata: { 'workload.spiffe.io': 'true' }, signal, ...limits },
    });
  } finally {
    channel.close();
  }
}

export async function firstOf<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) return message;
  throw new CommandError('the agent ended the stream without an answer');
}

// `healthcheck`: whether the agent says that it serves.
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthService,
} from '../../../proto/gen/grpc/health/v1/health.ts';
import { parseFlags } from '../../cli/flags.ts';
import { connect, createClient } from '../../rpc/client.ts';
import { RpcError, rpcErrorText } from '../../rpc/status.ts';
import type { Command } from './terminal.ts';
import { resolveSocketPath, socketFlags } from './socket-path.ts';

export const healthcheckFlags = {
  ...socketFlags,
  socketPath: { ...socketFlags.socketPath, help: 'Path to the SPIRE Agent API socket' },
  shallow: { kind: 'boolean', help: 'Perform a less stringent health check' },
  verbose: { kind: 'boolean', help: 'Print verbose information' },
} as const;

const callMs = 5_000;

export const healthcheck: Command = async (argv, { terminal, env, signal }) => {
  const { values } = parseFlags(argv, healthcheckFlags);
  if (values.verbose) terminal.print('Checking agent health...');
  const channel = connect({ unixPath: resolveSocketPath(values, env) });
  try {
    const { status } = await createClient(HealthService, channel).check(
      { service: '' },
      { signal, deadlineMs: callMs },
    );
    if (status === ServingStatus.SERVING) {
      terminal.print('Agent is healthy.');
      return 0;
    }
    terminal.printError(`Agent is unhealthy: agent returned status "${statusText(status)}"`);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    if (values.verbose) terminal.printError(`Failed to check health: ${rpcErrorText(error)}`);
    terminal.printError('Agent is unhealthy: unable to determine health');
  } finally {
    channel.close();
  }
  return 1;
};

function statusText(status: ServingStatus): string {
  return Object.entries(ServingStatus).find(([, value]) => value === status)?.[0] ?? String(status);
}

// `healthcheck`: is the server on this machine ready to serve?
import { HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { HealthCheckResponse_ServingStatus as ServingStatus } from '../../../proto/gen/grpc/health/v1/health.ts';
import { createClient } from '../../rpc/client.ts';
import { CommandError, errorLine, serverCommand } from './server-command.ts';

const names = new Map<number, string>(Object.entries(ServingStatus).map(([name, value]) => [value, name]));

export const healthcheck = serverCommand({
  name: 'healthcheck',
  synopsis: 'Determines server health status',
  hasOutput: false,
  flags: {
    shallow: { kind: 'boolean', help: 'Perform a less stringent health check' },
    verbose: { kind: 'boolean', help: 'Print verbose information' },
  },
  async run({ flags: { verbose }, channel, terminal }) {
    if (verbose) terminal.out('Checking server health...\n');
    const { status } = await createClient(HealthService, channel)
      .check({ service: '' })
      .catch((error: unknown) => {
        if (verbose) terminal.err(`Failed to check health: ${errorLine(error)}\n`);
        throw new CommandError('server is unhealthy: unable to determine health');
      });
    if (status !== ServingStatus.SERVING) {
      throw new CommandError(`server is unhealthy: server returned status "${names.get(status) ?? String(status)}"`);
    }
    terminal.out('Server is healthy.\n');
  },
});

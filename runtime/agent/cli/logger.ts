// `logger get|set|reset`: how much the running agent logs.
import { LoggerService } from '../../../proto/gen/spire/api/agent/logger/v1/logger.ts';
import { logLevelToJSON } from '../../../proto/gen/spire/api/types/logger.ts';
import type { Logger } from '../../../proto/gen/spire/api/types/logger.ts';
import { parseFlags } from '../../cli/flags.ts';
import { createClient } from '../../rpc/client.ts';
import type { Client } from '../../rpc/service.ts';
import { formatWireLogger, logLevelFlag, parseWireLogLevel } from '../../rpc/wire-log-level.ts';
import { adminFlags, withAdminClient } from './admin-client.ts';
import { CommandError } from './terminal.ts';
import type { Command, Terminal } from './terminal.ts';

type Api = Client<typeof LoggerService>;

export const loggerFlags = adminFlags;
export const loggerSetFlags = { ...adminFlags, level: logLevelFlag } as const;

export const loggerGet = command('error fetching logger', (api) => api.getLogger({}));
export const loggerReset = command('failed to reset logger', (api) => api.resetLogLevel({}));

export const loggerSet: Command = (argv, { terminal }) => {
  const { values } = parseFlags(argv, loggerSetFlags);
  return withAdminClient(values.socketPath, terminal, async (channel) => {
    const newLevel = parseWireLogLevel(values.level);
    const set = createClient(LoggerService, channel).setLogLevel({ newLevel });
    printLogger(terminal, values.output, await explain('failed to set log level', set));
  });
};

function command(failure: string, call: (api: Api) => Promise<Logger>): Command {
  return (argv, { terminal }) => {
    const { values } = parseFlags(argv, loggerFlags);
    return withAdminClient(values.socketPath, terminal, async (channel) => {
      const logger = await explain(failure, call(createClient(LoggerService, channel)));
      printLogger(terminal, values.output, logger);
    });
  };
}

function printLogger(terminal: Terminal, output: string, logger: Logger): void {
  const pretty = formatWireLogger(logger);
  const { currentLevel, launchLevel } = logger;
  if (output === 'json') {
    const encoded = { current_level: logLevelToJSON(currentLevel), launch_level: logLevelToJSON(launchLevel) };
    terminal.print(JSON.stringify(encoded));
  } else terminal.print(pretty);
}

async function explain<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    throw new CommandError(what, { cause });
  }
}

// `logger get|set|reset`: how much the running server logs.
import { LoggerService } from '../../../proto/gen/spire/api/server/logger/v1/logger.ts';
import { createClient } from '../../rpc/client.ts';
import { formatWireLogger, logLevelFlag, parseWireLogLevel } from '../../rpc/wire-log-level.ts';
import { CommandError, serverCommand } from './server-command.ts';

export const loggerGet = serverCommand({
  name: 'logger get',
  synopsis: 'Gets the logger details',
  flags: {},
  async run({ channel, terminal, print }) {
    const logger = await explain('error fetching logger', createClient(LoggerService, channel).getLogger({}));
    print(logger, () => terminal.out(`${formatWireLogger(logger)}\n`));
  },
});

export const loggerSet = serverCommand({
  name: 'logger set',
  synopsis: 'Sets the logger details',
  flags: {
    level: logLevelFlag,
  },
  async run({ flags, channel, terminal, print }) {
    const newLevel = parseWireLogLevel(flags.level);
    const client = createClient(LoggerService, channel);
    const logger = await explain('failed to set log level', client.setLogLevel({ newLevel }));
    print(logger, () => terminal.out(`${formatWireLogger(logger)}\n`));
  },
});

export const loggerReset = serverCommand({
  name: 'logger reset',
  synopsis: 'Reset the logger details to launch level',
  flags: {},
  async run({ channel, terminal, print }) {
    const logger = await explain('failed to reset logger', createClient(LoggerService, channel).resetLogLevel({}));
    print(logger, () => terminal.out(`${formatWireLogger(logger)}\n`));
  },
});

async function explain<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    throw new CommandError(what, { cause });
  }
}

// `logger get|set|reset`: how much the running server logs.
import { LoggerService } from '../../../proto/gen/spire/api/server/logger/v1/logger.ts';
import { LogLevel } from '../../../proto/gen/spire/api/types/logger.ts';
import type { Logger } from '../../../proto/gen/spire/api/types/logger.ts';
import { createClient } from '../../rpc/client.ts';
import { CommandError, serverCommand } from './server-command.ts';

const levels: ReadonlyMap<string, LogLevel> = new Map([
  ['panic', LogLevel.PANIC],
  ['fatal', LogLevel.FATAL],
  ['error', LogLevel.ERROR],
  ['warn', LogLevel.WARN],
  ['warning', LogLevel.WARN],
  ['info', LogLevel.INFO],
  ['debug', LogLevel.DEBUG],
  ['trace', LogLevel.TRACE],
]);
/** The longer name of two is the one that is printed. */
const names: ReadonlyMap<LogLevel, string> = new Map([...levels].map(([name, level]) => [level, name]));

export const loggerGet = serverCommand({
  name: 'logger get',
  synopsis: 'Gets the logger details',
  flags: {},
  async run({ channel, terminal, print }) {
    const logger = await explain('error fetching logger', createClient(LoggerService, channel).getLogger({}));
    print(logger, () => terminal.out(formatLogger(logger)));
  },
});

export const loggerSet = serverCommand({
  name: 'logger set',
  synopsis: 'Sets the logger details',
  flags: {
    level: {
      kind: 'string',
      default: '',
      help: 'The new log level, one of (panic, fatal, error, warn, info, debug, trace)',
    },
  },
  async run({ flags, channel, terminal, print }) {
    if (flags.level === '') throw new CommandError('a value (-level) must be set');
    const newLevel = levels.get(flags.level.toLowerCase());
    if (newLevel === undefined)
      throw new CommandError(`the value ${JSON.stringify(flags.level)} is not a valid setting`);
    const client = createClient(LoggerService, channel);
    const logger = await explain('failed to set log level', client.setLogLevel({ newLevel }));
    print(logger, () => terminal.out(formatLogger(logger)));
  },
});

export const loggerReset = serverCommand({
  name: 'logger reset',
  synopsis: 'Reset the logger details to launch level',
  flags: {},
  async run({ channel, terminal, print }) {
    const logger = await explain('failed to reset logger', createClient(LoggerService, channel).resetLogLevel({}));
    print(logger, () => terminal.out(formatLogger(logger)));
  },
});

function formatLogger({ currentLevel, launchLevel }: Logger): string {
  return `Logger Level : ${nameOf('current', currentLevel)}\nLaunch Level : ${nameOf('launch', launchLevel)}\n\n`;
}

function nameOf(which: string, level: LogLevel): string {
  const name = names.get(level);
  if (name !== undefined) return name;
  throw new CommandError(`internal error: returned ${which} log level is undefined; please report this as a bug`);
}

async function explain<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    throw new CommandError(what, { cause });
  }
}

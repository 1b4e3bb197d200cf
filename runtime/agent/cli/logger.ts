// `logger get|set|reset`: how much the running agent logs.
import { LoggerService } from '../../../proto/gen/spire/api/agent/logger/v1/logger.ts';
import { LogLevel, logLevelToJSON } from '../../../proto/gen/spire/api/types/logger.ts';
import type { Logger } from '../../../proto/gen/spire/api/types/logger.ts';
import { parseFlags } from '../../cli/flags.ts';
import { createClient } from '../../rpc/client.ts';
import type { Client } from '../../rpc/service.ts';
import { adminFlags, withAdminClient } from './admin-client.ts';
import { CommandError } from './terminal.ts';
import type { Command, Terminal } from './terminal.ts';

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

type Api = Client<typeof LoggerService>;

export const loggerFlags = adminFlags;
export const loggerSetFlags = {
  ...adminFlags,
  level: {
    kind: 'string',
    default: '',
    help: 'The new log level, one of (panic, fatal, error, warn, info, debug, trace)',
  },
} as const;

export const loggerGet = command('error fetching logger', (api) => api.getLogger({}));
export const loggerReset = command('failed to reset logger', (api) => api.resetLogLevel({}));

export const loggerSet: Command = (argv, { terminal }) => {
  const { values } = parseFlags(argv, loggerSetFlags);
  return withAdminClient(values.socketPath, terminal, async (channel) => {
    if (values.level === '') throw new CommandError('a value (-level) must be set');
    const newLevel = levels.get(values.level.toLowerCase());
    if (newLevel === undefined)
      throw new CommandError(`the value ${JSON.stringify(values.level)} is not a valid setting`);
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

function printLogger(terminal: Terminal, output: string, { currentLevel, launchLevel }: Logger): void {
  const [current, launch] = [nameOf('current', currentLevel), nameOf('launch', launchLevel)];
  if (output === 'json') {
    const encoded = { current_level: logLevelToJSON(currentLevel), launch_level: logLevelToJSON(launchLevel) };
    terminal.print(JSON.stringify(encoded));
  } else terminal.print(`Logger Level : ${current}\nLaunch Level : ${launch}\n`);
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

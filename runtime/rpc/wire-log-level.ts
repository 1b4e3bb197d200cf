// SPIRE's log levels by name and by number, and how the commands `logger …` of server and agent take them from people and show them.
import { LogLevel } from '../../proto/gen/spire/api/types/logger.ts';
import type { Logger } from '../../proto/gen/spire/api/types/logger.ts';

const levels = {
  panic: LogLevel.PANIC,
  fatal: LogLevel.FATAL,
  error: LogLevel.ERROR,
  warn: LogLevel.WARN,
  info: LogLevel.INFO,
  debug: LogLevel.DEBUG,
  trace: LogLevel.TRACE,
} as const;
export type LogLevelName = keyof typeof levels;

const byName: ReadonlyMap<string, LogLevel> = new Map([...Object.entries(levels), ['warning', LogLevel.WARN]]);
const byNumber: ReadonlyMap<LogLevel, LogLevelName> = new Map(
  Object.entries(levels).map(([name, level]) => [level, name as LogLevelName]),
);

export function wireLogLevel(name: LogLevelName): LogLevel {
  return levels[name];
}

/** Undefined where there is none of that number. */
export function logLevelName(level: LogLevel): LogLevelName | undefined {
  return byNumber.get(level);
}

export const logLevelFlag = {
  kind: 'string',
  default: '',
  help: 'The new log level, one of (panic, fatal, error, warn, info, debug, trace)',
} as const;

/** Throws where the text of the flag names none. */
export function parseWireLogLevel(text: string): LogLevel {
  if (text === '') throw new Error('a value (-level) must be set');
  const level = byName.get(text.toLowerCase());
  if (level === undefined) throw new Error(`the value ${JSON.stringify(text)} is not a valid setting`);
  return level;
}

/** Throws where the peer sent a level that there is not. */
export function formatWireLogger({ currentLevel, launchLevel }: Logger): string {
  return `Logger Level : ${nameOf('current', currentLevel)}\nLaunch Level : ${nameOf('launch', launchLevel)}\n`;
}

function nameOf(which: string, level: LogLevel): string {
  const name = logLevelName(level);
  if (name !== undefined) return name === 'warn' ? 'warning' : name; // as SPIRE's commands print it
  throw new Error(`internal error: returned ${which} log level is undefined; please report this as a bug`);
}

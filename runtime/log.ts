// Logs as SPIRE writes them: `text` lines of `key=value` that operators grep, or one JSON object a line. Fields are pino's.
import { inspect } from 'node:util';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { attachControl, LoggerFamily, logLevels, pinoLevel } from './log-control.ts';
import type { LogLevel } from './log-control.ts';
import { sourceLocation } from './log-source.ts';
import { formatLogLine } from './log-text.ts';

export type { Logger } from 'pino';
export { logControlOf, logLevels } from './log-control.ts';
export type { LogControl, LogLevel } from './log-control.ts';

export const logFormats = ['text', 'json'] as const;
export type LogFormat = (typeof logFormats)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Appended to; standard output where absent. */
  readonly file?: string;
  /** Takes each line instead of a file or standard output. */
  readonly write?: (line: string) => void;
  readonly clock?: () => number;
  /** Adds `file` and `func` to each line: where in our sources it was written. */
  readonly sourceLocation?: boolean;
}

/** A log whose level can be changed and whose file can be opened anew: see logControlOf. */
export function createLog(options: LogOptions): Logger {
  const { level: launchLevel, format, file, write, clock = Date.now } = options;
  const sink = write === undefined ? openSink(file) : { write, reopen: () => undefined };
  const family = new LoggerFamily();
  let level = launchLevel;
  const logger = pino(
    {
      level: pinoLevel(level),
      onChild: (child) => family.add(child),
      ...(options.sourceLocation === true ? { mixin: () => ({ ...sourceLocation() }) } : {}),
      base: null,
      errorKey: 'error',
      timestamp: () => `,"time":"${rfc3339(clock())}"`,
      formatters: { level: (label) => ({ level: levelName(label) }), log: nameErrors },
      serializers: { error: describeError },
    },
    format === 'json' ? sink : { write: (line: string) => sink.write(formatLogLine(line)) },
  );
  family.add(logger);
  return attachControl(logger, {
    launchLevel,
    level: () => level,
    setLevel(next) {
      level = next;
      family.setLevel(next);
    },
    reopen: () => sink.reopen(),
  });
}

/** A level as configuration and flags write it, in any case; undefined where there is none of that name. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const lower = text.toLowerCase();
  return lower === 'warning' ? 'warn' : logLevels.find((level) => level === lower);
}

export function parseLogFormat(text: string): LogFormat | undefined {
  const lower = text.toLowerCase();
  return logFormats.find((format) => format === lower);
}

/** An error and its causes on one line, outermost first. */
export function describeError(error: unknown): string {
  const messages: string[] = [];
  for (let e = error; e !== undefined && messages.length < 10; e = e instanceof Error ? e.cause : undefined) {
    messages.push(
      e instanceof Error ? describeOne(e) : typeof e === 'string' ? e : inspect(e, { depth: 1, breakLength: Infinity }),
    );
  }
  return messages.join(': ');
}

/** An aggregate (every address of a host refused, say) has no message of its own. */
function describeOne(error: Error): string {
  if (error.message !== '') return error.message;
  return error instanceof AggregateError ? error.errors.map(describeError).join('; ') : error.name;
}

interface Sink {
  write(line: string): unknown;
  reopen(): void;
}

/** Written at once, so that the last line before a crash is not lost. */
function openSink(file: string | undefined): Sink {
  if (file === undefined) {
    const output = pino.destination({ dest: 1, sync: true });
    return { write: (line) => output.write(line), reopen: () => undefined };
  }
  const open = () => pino.destination({ dest: file, sync: true, append: true, mode: 0o640 });
  let output = open();
  return {
    write: (line) => output.write(line),
    reopen() {
      const next = open();
      output.end();
      output = next;
    },
  };
}

/** `err`, as pino's users write it, is `error` in SPIRE's logs. */
function nameErrors(fields: Record<string, unknown>): Record<string, unknown> {
  if (!('err' in fields)) return fields;
  const { err, ...others } = fields;
  return { ...others, error: err };
}

function levelName(label: string): string {
  return label === 'warn' ? 'warning' : label;
}

function rfc3339(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}

// Logs as SPIRE writes them: `text` lines of `key=value` that operators grep, or one JSON object a line. Fields are pino's.
import { inspect } from 'node:util';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { formatLogLine } from './log-text.ts';

export type { Logger } from 'pino';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

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
}

export function createLog({ level, format, file, write, clock = Date.now }: LogOptions): Logger {
  const sink = write === undefined ? openSink(file) : { write };
  return pino(
    {
      level,
      base: null,
      errorKey: 'error',
      timestamp: () => `,"time":"${rfc3339(clock())}"`,
      formatters: { level: (label) => ({ level: levelName(label) }), log: nameErrors },
      serializers: { error: describeError },
    },
    format === 'json' ? sink : { write: (line: string) => sink.write(formatLogLine(line)) },
  );
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

/** Written at once, so that the last line before a crash is not lost. */
function openSink(file: string | undefined): { write(line: string): void } {
  return pino.destination(
    file === undefined ? { dest: 1, sync: true } : { dest: file, sync: true, append: true, mode: 0o640 },
  );
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

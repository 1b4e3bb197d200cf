// What can be done to a log while it is being written: another level, and its file opened anew after a rotation. A logger's children follow it.
import type { Logger } from 'pino';

/** SPIRE's, most urgent first. Nothing here logs a panic: at that level a log is silent. */
export const logLevels = ['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogControl {
  /** The level that the log began with. */
  readonly launchLevel: LogLevel;
  level(): LogLevel;
  setLevel(level: LogLevel): void;
  /** Throws where the file cannot be opened; the log goes on in the old one then. */
  reopen(): void;
}

const control = Symbol('log control');
/** Children that are gone leave their references behind; they are swept when this many have gathered. */
const sweepSize = 1_000;

export function pinoLevel(level: LogLevel): string {
  return level === 'panic' ? 'silent' : level;
}

/** pino copies a level into each child when it is made, so a later change must reach them one by one. */
export class LoggerFamily {
  readonly #members = new Set<WeakRef<Logger>>();
  #sweepAt = sweepSize;

  add(logger: Logger): void {
    this.#members.add(new WeakRef(logger));
    if (this.#members.size < this.#sweepAt) return;
    this.#each(() => undefined);
    this.#sweepAt = Math.max(sweepSize, 2 * this.#members.size);
  }

  setLevel(level: LogLevel): void {
    this.#each((logger) => (logger.level = pinoLevel(level)));
  }

  #each(act: (logger: Logger) => unknown): void {
    for (const member of this.#members) {
      const logger = member.deref();
      if (logger === undefined) this.#members.delete(member);
      else act(logger);
    }
  }
}

/** The children of the logger have the property too: pino makes them from it. */
export function attachControl(logger: Logger, value: LogControl): Logger {
  return Object.defineProperty(logger, control, { value });
}

/** Throws for a logger that createLog did not make. */
export function logControlOf(log: Logger): LogControl {
  const found = (log as { [control]?: LogControl })[control];
  if (found === undefined) throw new Error('this logger has no control');
  return found;
}

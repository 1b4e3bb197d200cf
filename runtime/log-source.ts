// Where in our sources a log line comes from, as `log_source_location` asks for it.
import { basename } from 'node:path';

export interface SourceLocation {
  /** `server.ts:120`. */
  readonly file: string;
  readonly func?: string;
}

const frame = /^ +at (?:(?:async |new )*(.+?) \()?(?:file:\/\/)?(\/[^)]*):(\d+):\d+\)?$/;
const loggingCode = /\/node_modules\/(?:pino|sonic-boom)\/|\/runtime\/log(?:-[a-z]+)?\.ts$/;

/** The innermost caller that is not part of the logging itself; undefined where there is none in sight. */
export function sourceLocation(stack = new Error().stack ?? ''): SourceLocation | undefined {
  for (const line of stack.split('\n')) {
    const [, func, path, number] = frame.exec(line) ?? [];
    if (path === undefined || loggingCode.test(path)) continue;
    return { file: `${basename(path)}:${number ?? 0}`, ...(func === undefined ? {} : { func }) };
  }
  return undefined;
}

// What a command sees of its surroundings: where it prints and what it reads. Tests give it strings.
import { readFileSync } from 'node:fs';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** The file's text; `-` is standard input. */
  readFile(path: string): string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    readFile: (path) => readFileSync(path === '-' ? 0 : path, 'utf8'),
    env: process.env,
  };
}

export interface Command {
  /** `entry create`. */
  readonly name: string;
  readonly synopsis: string;
  /** Answers with the exit code. */
  run(argv: readonly string[], terminal: Terminal): Promise<number>;
}

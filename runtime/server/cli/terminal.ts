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
    readFile: (path) => readText(path),
    env: process.env,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (cause) {
    throw fileError(path, cause);
  }
}

const reasons: ReadonlyMap<string, (path: string) => string> = new Map([
  ['ENOENT', (path) => `open ${path}: no such file or directory`],
  ['EACCES', (path) => `open ${path}: permission denied`],
  ['EISDIR', (path) => `read ${path}: is a directory`],
]);

/** In Go's words, for the reasons that a user meets. */
export function fileError(path: string, cause: unknown): unknown {
  const reason = reasons.get((cause as NodeJS.ErrnoException).code ?? '');
  return reason === undefined ? cause : new Error(reason(path), { cause });
}

export interface Command {
  /** `entry create`. */
  readonly name: string;
  readonly synopsis: string;
  /** What is printed for `-help` and after a flag that is none. */
  usage(): string;
  /** Answers with the exit code. */
  run(argv: readonly string[], terminal: Terminal): Promise<number>;
}

// Unix sockets of one state directory: those that a process listens at, and those that somebody left.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FoundSocket {
  readonly path: string;
  readonly isListening: boolean;
}

export function findSockets(directories: readonly string[]): FoundSocket[] {
  const listening = listeningPaths();
  return directories
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isSocket())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, isListening: listening.has(path) }));
}

/** /proc/net/unix: the flags' bit 16 says that the socket accepts connections, the eighth field is its path. */
function listeningPaths(): Set<string> {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return new Set(
    fields.flatMap(([, , , flags = '0', , , , path]) =>
      path !== undefined && (Number.parseInt(flags, 16) & 0x10000) !== 0 ? [path] : [],
    ),
  );
}

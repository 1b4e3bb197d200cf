// The system's own programs that make networks: iproute2's ip, nftables' nft and util-linux's nsenter, run as root and to their end.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Programs, and the packages of Debian that have them. */
const programs = { ip: 'iproute2', nft: 'nftables', nsenter: 'util-linux' } as const;
export type Program = keyof typeof programs;

/** Where the system has them, whatever PATH says. */
const usual = ['/usr/sbin', '/sbin'];
const searched = () => [...(process.env['PATH'] ?? '').split(':').filter((path) => path !== ''), ...usual];
const timeout = 20_000;

/** Why this process can make no network namespaces; empty where it can. */
export function namespaceHindrances(user = process.getuid?.(), directories = searched()): string[] {
  const missing = Object.entries(programs).filter(([name]) => findProgram(name as Program, directories) === undefined);
  return [
    ...(user === 0 ? [] : ['this process is not root']),
    ...missing.map(([name, from]) => `${name} is not on PATH (Debian's package ${from})`),
  ];
}

export function findProgram(name: Program, directories = searched()): string | undefined {
  return directories
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false; // not there, or not for this user
      }
    });
}

/** Its standard output. Fails with the program's own words. */
export function runProgram(name: Program, words: readonly string[], input = ''): string {
  const { status, error, stdout, stderr } = spawnSync(findProgram(name) ?? name, words, {
    input,
    encoding: 'utf8',
    timeout,
  });
  if (error !== undefined) throw new Error(`${name} ${words.join(' ')}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`${name} ${words.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

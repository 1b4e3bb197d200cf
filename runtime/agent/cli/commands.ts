// The agent's commands by the words that call them, with SPIRE's names; the longest match counts.
import type { FlagSpecs } from '../../cli/flags.ts';
import { runFlags } from '../config/load-config.ts';
import { fetchJwt, fetchJwtFlags } from './fetch-jwt.ts';
import { fetchX509, fetchX509Flags } from './fetch-x509.ts';
import { healthcheck, healthcheckFlags } from './healthcheck.ts';
import { run, validate } from './run.ts';
import type { Command } from './terminal.ts';
import { validateJwt, validateJwtFlags } from './validate-jwt.ts';
import { watch, watchFlags } from './watch.ts';

export interface CommandEntry {
  readonly words: readonly string[];
  readonly synopsis: string;
  readonly flags: FlagSpecs;
  readonly run: Command;
}

export const commands: readonly CommandEntry[] = [
  { words: ['api', 'fetch'], synopsis: 'Fetches X509 SVIDs from the Workload API', flags: fetchX509Flags, run: fetchX509 },
  { words: ['api', 'fetch', 'jwt'], synopsis: 'Fetches a JWT SVID from the Workload API', flags: fetchJwtFlags, run: fetchJwt },
  { words: ['api', 'fetch', 'x509'], synopsis: 'Fetches X509 SVIDs from the Workload API', flags: fetchX509Flags, run: fetchX509 },
  { words: ['api', 'validate', 'jwt'], synopsis: 'Validates a JWT SVID', flags: validateJwtFlags, run: validateJwt },
  { words: ['api', 'watch'], synopsis: "Attaches to the Workload API and prints updates as they're received", flags: watchFlags, run: watch },
  { words: ['healthcheck'], synopsis: 'Determines agent health status', flags: healthcheckFlags, run: healthcheck },
  { words: ['run'], synopsis: 'Runs the agent', flags: runFlags, run },
  { words: ['validate'], synopsis: 'Validates a SPIRE agent configuration file', flags: runFlags, run: validate },
];

export function findCommand(argv: readonly string[]): CommandEntry | undefined {
  return commands
    .filter(({ words }) => words.every((word, i) => argv[i] === word))
    .sort((a, b) => b.words.length - a.words.length)[0];
}

export function usage(): string {
  const width = Math.max(...commands.map(({ words }) => words.join(' ').length));
  const lines = commands.map(({ words, synopsis }) => `    ${words.join(' ').padEnd(width)}    ${synopsis}`);
  return ['Usage: spire-agent [--version] [--help] <command> [<args>]', '', 'Available commands are:', ...lines, ''].join('\n');
}

// The agent's commands by the words that call them, with SPIRE's names; the longest match counts. Each is loaded when it is called: a health
// probe should not have to read the whole agent.
import type { FlagSpecs } from '../../cli/flags.ts';
import type { Command } from './terminal.ts';

export interface LoadedCommand {
  readonly flags: FlagSpecs;
  readonly run: Command;
}

export interface CommandEntry {
  readonly words: readonly string[];
  readonly synopsis: string;
  readonly load: () => Promise<LoadedCommand>;
}

const fetchX509 = () =>
  import('./fetch-x509.ts').then((command) => ({ flags: command.fetchX509Flags, run: command.fetchX509 }));
const agent = () => Promise.all([import('./run.ts'), import('../config/load-config.ts')]);

export const commands: readonly CommandEntry[] = [
  { words: ['api', 'fetch'], synopsis: 'Fetches X509 SVIDs from the Workload API', load: fetchX509 },
  {
    words: ['api', 'fetch', 'jwt'],
    synopsis: 'Fetches a JWT SVID from the Workload API',
    load: () => import('./fetch-jwt.ts').then((command) => ({ flags: command.fetchJwtFlags, run: command.fetchJwt })),
  },
  { words: ['api', 'fetch', 'x509'], synopsis: 'Fetches X509 SVIDs from the Workload API', load: fetchX509 },
  {
    words: ['api', 'validate', 'jwt'],
    synopsis: 'Validates a JWT SVID',
    load: () =>
      import('./validate-jwt.ts').then((command) => ({ flags: command.validateJwtFlags, run: command.validateJwt })),
  },
  {
    words: ['api', 'watch'],
    synopsis: "Attaches to the Workload API and prints updates as they're received",
    load: () => import('./watch.ts').then((command) => ({ flags: command.watchFlags, run: command.watch })),
  },
  {
    words: ['debug', 'getinfo'],
    synopsis: 'Prints debug information about the agent',
    load: () => import('./debug.ts').then((command) => ({ flags: command.debugFlags, run: command.debugGetInfo })),
  },
  {
    words: ['healthcheck'],
    synopsis: 'Determines agent health status',
    load: () =>
      import('./healthcheck.ts').then((command) => ({ flags: command.healthcheckFlags, run: command.healthcheck })),
  },
  {
    words: ['logger', 'get'],
    synopsis: 'Gets the logger details',
    load: () => import('./logger.ts').then((command) => ({ flags: command.loggerFlags, run: command.loggerGet })),
  },
  {
    words: ['logger', 'reset'],
    synopsis: 'Reset the logger details to launch level',
    load: () => import('./logger.ts').then((command) => ({ flags: command.loggerFlags, run: command.loggerReset })),
  },
  {
    words: ['logger', 'set'],
    synopsis: 'Sets the logger details',
    load: () => import('./logger.ts').then((command) => ({ flags: command.loggerSetFlags, run: command.loggerSet })),
  },
  {
    words: ['run'],
    synopsis: 'Runs the agent',
    load: () => agent().then(([{ run }, { runFlags }]) => ({ flags: runFlags, run })),
  },
  {
    words: ['service', 'give'],
    synopsis: 'Gives an identity to a process that this service runs for a customer or a tenant',
    load: () =>
      import('./service.ts').then((command) => ({ flags: command.serviceGiveFlags, run: command.serviceGive })),
  },
  {
    words: ['service', 'take'],
    synopsis: 'Takes such identities back',
    load: () =>
      import('./service.ts').then((command) => ({ flags: command.serviceTakeFlags, run: command.serviceTake })),
  },
  {
    words: ['validate'],
    synopsis: 'Validates a SPIRE agent configuration file',
    load: () => agent().then(([{ validate }, { runFlags }]) => ({ flags: runFlags, run: validate })),
  },
];

export function findCommand(argv: readonly string[]): CommandEntry | undefined {
  return commands
    .filter(({ words }) => words.every((word, i) => argv[i] === word))
    .sort((a, b) => b.words.length - a.words.length)[0];
}

export function usage(): string {
  const width = Math.max(...commands.map(({ words }) => words.join(' ').length));
  const lines = commands.map(({ words, synopsis }) => `    ${words.join(' ').padEnd(width)}    ${synopsis}`);
  return [
    'Usage: spire-agent [--version] [--help] <command> [<args>]',
    '',
    'Available commands are:',
    ...lines,
    '',
  ].join('\n');
}

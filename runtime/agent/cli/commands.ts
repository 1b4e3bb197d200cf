// The agent's commands with SPIRE's names, and ours. Each is loaded when it is called or asked about: a health probe should not have to read the whole
// agent.
import { helpRequested } from '../../cli/help.ts';
import { formatUsage } from '../../cli/flags.ts';
import type { FlagSpecs } from '../../cli/flags.ts';
import type { DescribedCommand } from '../../cli/help.ts';
import type { Command } from './terminal.ts';

export interface LoadedCommand {
  readonly flags: FlagSpecs;
  readonly run: Command;
}

export interface CommandEntry extends DescribedCommand {
  readonly load: () => Promise<LoadedCommand>;
  /** In the usage text. */
  readonly usageName: string;
  /** What is said once more below the usage where a flag is refused; undefined: nothing. */
  readonly repeated: ((refusal: string) => string) | undefined;
}

interface CommandSpec extends Pick<CommandEntry, 'name' | 'synopsis' | 'load'> {
  readonly usageName?: string;
  readonly repeats: keyof typeof repetitions;
  readonly helpEnd?: string;
}

const repetitions = {
  nothing: undefined,
  refusal: (refusal: string) => refusal,
  invalidFile: (refusal: string) => `SPIRE agent configuration file is invalid: ${refusal}`,
} as const;

function entry({ repeats, helpEnd = helpRequested, ...spec }: CommandSpec): CommandEntry {
  const usageName = spec.usageName ?? spec.name;
  const help = async () => ({ usage: formatUsage(usageName, (await spec.load()).flags), end: helpEnd });
  return { ...spec, usageName, repeated: repetitions[repeats], help };
}

const fetchX509 = () =>
  import('./fetch-x509.ts').then((command) => ({ flags: command.fetchX509Flags, run: command.fetchX509 }));
const agent = () => Promise.all([import('./run.ts'), import('../config/load-config.ts')]);

/** Those of SPIRE's that say nothing below a usage that was asked for. */
const workload = { repeats: 'refusal', helpEnd: '' } as const;

export const commands: readonly CommandEntry[] = [
  entry({
    name: 'api fetch',
    usageName: 'fetch x509',
    ...workload,
    synopsis: 'Fetches X509 SVIDs from the Workload API',
    load: fetchX509,
  }),
  entry({
    name: 'api fetch jwt',
    usageName: 'fetch jwt',
    ...workload,
    synopsis: 'Fetches a JWT SVID from the Workload API',
    load: () => import('./fetch-jwt.ts').then((command) => ({ flags: command.fetchJwtFlags, run: command.fetchJwt })),
  }),
  entry({
    name: 'api fetch x509',
    usageName: 'fetch x509',
    ...workload,
    synopsis: 'Fetches X509 SVIDs from the Workload API',
    load: fetchX509,
  }),
  entry({
    name: 'api validate jwt',
    usageName: 'validate jwt',
    ...workload,
    synopsis: 'Validates a JWT SVID',
    load: () =>
      import('./validate-jwt.ts').then((command) => ({ flags: command.validateJwtFlags, run: command.validateJwt })),
  }),
  entry({
    name: 'api watch',
    usageName: 'watch',
    repeats: 'refusal',
    synopsis: "Attaches to the Workload API and prints updates as they're received",
    load: () => import('./watch.ts').then((command) => ({ flags: command.watchFlags, run: command.watch })),
  }),
  entry({
    name: 'debug getinfo',
    repeats: 'nothing',
    synopsis: 'Prints debug information about the agent',
    load: () => import('./debug.ts').then((command) => ({ flags: command.debugFlags, run: command.debugGetInfo })),
  }),
  entry({
    name: 'healthcheck',
    usageName: 'health',
    repeats: 'nothing',
    helpEnd: '',
    synopsis: 'Determines agent health status',
    load: () =>
      import('./healthcheck.ts').then((command) => ({ flags: command.healthcheckFlags, run: command.healthcheck })),
  }),
  entry({
    name: 'logger get',
    repeats: 'nothing',
    synopsis: 'Gets the logger details',
    load: () => import('./logger.ts').then((command) => ({ flags: command.loggerFlags, run: command.loggerGet })),
  }),
  entry({
    name: 'logger reset',
    repeats: 'nothing',
    synopsis: 'Reset the logger details to launch level',
    load: () => import('./logger.ts').then((command) => ({ flags: command.loggerFlags, run: command.loggerReset })),
  }),
  entry({
    name: 'logger set',
    repeats: 'nothing',
    synopsis: 'Sets the logger details',
    load: () => import('./logger.ts').then((command) => ({ flags: command.loggerSetFlags, run: command.loggerSet })),
  }),
  entry({
    name: 'run',
    repeats: 'refusal',
    synopsis: 'Runs the agent',
    load: () => agent().then(([{ run }, { runFlags }]) => ({ flags: runFlags, run })),
  }),
  entry({
    name: 'service give',
    repeats: 'nothing',
    synopsis: 'Gives an identity to a process that this service runs for a customer or a tenant',
    load: () =>
      import('./service.ts').then((command) => ({ flags: command.serviceGiveFlags, run: command.serviceGive })),
  }),
  entry({
    name: 'service take',
    repeats: 'nothing',
    synopsis: 'Takes such identities back',
    load: () =>
      import('./service.ts').then((command) => ({ flags: command.serviceTakeFlags, run: command.serviceTake })),
  }),
  entry({
    name: 'validate',
    repeats: 'invalidFile',
    synopsis: 'Validates a SPIRE agent configuration file',
    load: () => agent().then(([{ validate }, { runFlags }]) => ({ flags: runFlags, run: validate })),
  }),
];

// The commands of spire-server, in the order of their names.
import { version } from '../version.ts';
import { agentCount, agentList } from './agent/list.ts';
import { agentBan, agentEvict, agentShow } from './agent/one-agent.ts';
import { agentPurge } from './agent/purge.ts';
import { runFlags } from '../config/run-flags.ts';
import { runProgram } from '../../cli/command-line.ts';
import { formatUsage } from '../../cli/flags.ts';
import { helpRequested } from '../../cli/help.ts';
import { bundleDelete, bundleList, bundleSet } from './bundle/federated.ts';
import { bundleCount, bundleShow } from './bundle/show.ts';
import { debugGetInfo } from './debug.ts';
import { entryCount } from './entry/count.ts';
import { entryCreate } from './entry/create.ts';
import { entryDelete } from './entry/delete.ts';
import { entryShow } from './entry/show.ts';
import { entryUpdate } from './entry/update.ts';
import { federationDelete, federationRefresh } from './federation/by-id.ts';
import { federationCreate, federationUpdate } from './federation/change.ts';
import { federationList, federationShow } from './federation/look.ts';
import { healthcheck } from './healthcheck.ts';
import { jwtMint } from './jwt-mint.ts';
import { localAuthorityCommands } from './local-authority.ts';
import { loggerGet, loggerReset, loggerSet } from './logger.ts';
import { serviceIdentities } from './service/identities.ts';
import { serviceDelete, serviceSet, serviceShow } from './service/templates.ts';
import type { Command, Terminal } from './terminal.ts';
import { tokenGenerate } from './token.ts';
import { upstreamAuthorityCommands } from './upstream-authority.ts';
import { x509Mint } from './x509-mint.ts';

/** Loaded when it is asked for: the other commands do without the whole server. */
function lazyCommand(name: string, synopsis: string, load: () => Promise<Pick<Command, 'run'>>): Command {
  return {
    name,
    synopsis,
    usage: () => formatUsage(name, runFlags),
    run: async (argv, terminal) => (await load()).run(argv, terminal),
  };
}

const runCommand = lazyCommand('run', 'Runs the server', async () => (await import('./run.ts')).runCommand);
const validateCommand = lazyCommand(
  'validate',
  'Validates a SPIRE server configuration file',
  async () => (await import('./run.ts')).validateCommand,
);

export const commands: readonly Command[] = [
  agentBan,
  agentCount,
  agentEvict,
  agentList,
  agentPurge,
  agentShow,
  bundleCount,
  bundleDelete,
  bundleList,
  bundleSet,
  bundleShow,
  debugGetInfo,
  entryCount,
  entryCreate,
  entryDelete,
  entryShow,
  entryUpdate,
  federationCreate,
  federationDelete,
  federationList,
  federationRefresh,
  federationShow,
  federationUpdate,
  healthcheck,
  jwtMint,
  ...localAuthorityCommands,
  loggerGet,
  loggerReset,
  loggerSet,
  runCommand,
  serviceDelete,
  serviceIdentities,
  serviceSet,
  serviceShow,
  tokenGenerate,
  ...upstreamAuthorityCommands,
  validateCommand,
  x509Mint,
];

/** Answers with the exit code. */
export function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  return runProgram(
    {
      name: 'spire-server',
      version,
      commands: described,
      printError: (text) => terminal.err(text),
      run: (command, rest) => command.run(rest, terminal),
    },
    argv,
  );
}

const described = commands.map((command) => ({
  ...command,
  help: () => ({ usage: command.usage(), end: helpRequested }),
}));

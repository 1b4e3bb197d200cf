// The commands of spire-server, and the choice among them as SPIRE makes it: the longest name that the words before the first flag begin with; a
// request for help anywhere before `--` wins.
import { version } from '../version.ts';
import { agentCount, agentList } from './agent/list.ts';
import { agentBan, agentEvict, agentShow } from './agent/one-agent.ts';
import { agentPurge } from './agent/purge.ts';
import { runFlags } from '../config/run-flags.ts';
import { formatUsage } from '../../cli/flags.ts';
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
import { printCommandHelp, printGroupHelp, printMisplacedFlags, printProgramHelp } from './help.ts';
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

const noCommand = 127;
const helpFlags = ['-h', '-help', '--help'];
const versionFlags = ['-v', '-version', '--version'];

/** Answers with the exit code. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const beforeDashes = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const start = beforeDashes.findIndex((word) => word !== '' && !word.startsWith('-'));
  const leading = start === -1 ? beforeDashes : argv.slice(0, start);
  if (leading.some((word) => versionFlags.includes(word))) {
    terminal.err(`${version}\n`);
    return 0;
  }
  const asked = beforeDashes.some((word) => helpFlags.includes(word));
  const found = start === -1 ? undefined : find(argv.slice(start));
  if (found === undefined) {
    printProgramHelp(commands, terminal);
    return asked && start === -1 ? 0 : noCommand;
  }
  const help = () =>
    found.command === undefined
      ? printGroupHelp(commands, found.name, terminal)
      : printCommandHelp(found.command, terminal);
  if (asked) {
    help();
    return 0;
  }
  if (leading.some((word) => word !== '')) {
    printMisplacedFlags(terminal);
    help();
    return 1;
  }
  if (found.command !== undefined) return found.command.run(found.rest, terminal);
  help();
  return 1;
}

interface Found {
  readonly name: string;
  /** Undefined where the name is that of a group. */
  readonly command: Command | undefined;
  readonly rest: readonly string[];
}

function find(words: readonly string[]): Found | undefined {
  const end = words.findIndex((word) => word === '' || word.startsWith('-') || word.includes(' '));
  const names = end === -1 ? words : words.slice(0, end);
  for (let count = names.length; count > 0; count -= 1) {
    const name = names.slice(0, count).join(' ');
    const command = commands.find((one) => one.name === name);
    const isGroup = commands.some((one) => one.name.startsWith(`${name} `));
    if (command !== undefined || isGroup) return { name, command, rest: words.slice(count) };
  }
  return undefined;
}

// The commands of spire-server, and the choice among them: names of up to three words, the longest that fits.
import { version } from '../version.ts';
import { agentCount, agentList } from './agent/list.ts';
import { agentBan, agentEvict, agentShow } from './agent/one-agent.ts';
import { bundleCount, bundleShow } from './bundle.ts';
import { entryCount } from './entry/count.ts';
import { entryCreate } from './entry/create.ts';
import { entryDelete } from './entry/delete.ts';
import { entryShow } from './entry/show.ts';
import { entryUpdate } from './entry/update.ts';
import { healthcheck } from './healthcheck.ts';
import { jwtMint } from './jwt-mint.ts';
import { localAuthorityCommands } from './local-authority.ts';
import type { Command, Terminal } from './terminal.ts';
import { tokenGenerate } from './token.ts';
import { x509Mint } from './x509-mint.ts';

/** Loaded when it is asked for: the other commands do without the whole server. */
function lazyCommand(name: string, synopsis: string, load: () => Promise<Pick<Command, 'run'>>): Command {
  return { name, synopsis, run: async (argv, terminal) => (await load()).run(argv, terminal) };
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
  agentShow,
  bundleCount,
  bundleShow,
  entryCount,
  entryCreate,
  entryDelete,
  entryShow,
  entryUpdate,
  healthcheck,
  jwtMint,
  ...localAuthorityCommands,
  runCommand,
  tokenGenerate,
  validateCommand,
  x509Mint,
];

const noCommand = 127;

/** Answers with the exit code. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [first] = argv;
  if (first === '-version' || first === '--version' || first === '-v') {
    terminal.out(`${version}\n`);
    return 0;
  }
  for (let words = 3; words > 0; words -= 1) {
    const name = argv.slice(0, words).join(' ');
    const command = commands.find((one) => one.name === name);
    if (command !== undefined) return command.run(argv.slice(words), terminal);
  }
  const asked = first === '-h' || first === '-help' || first === '--help';
  if (asked) terminal.out(help());
  else terminal.err(help());
  return asked ? 0 : noCommand;
}

function help(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, synopsis }) => `    ${name.padEnd(width)}    ${synopsis}\n`);
  return `Usage: spire-server [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n${lines.join('')}\n`;
}

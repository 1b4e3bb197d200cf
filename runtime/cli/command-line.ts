// A program of many commands, and the choice among them as SPIRE's programs make it: the longest name that the words before the first flag begin with; a
// request for help anywhere before `--` wins.
import { printCommandHelp, printGroupHelp, printMisplacedFlags, printProgramHelp } from './help.ts';
import type { DescribedCommand, PrintError } from './help.ts';

export interface Program<C extends DescribedCommand> {
  readonly name: string;
  readonly version: string;
  readonly commands: readonly C[];
  /** Of standard error. */
  readonly printError: PrintError;
  /** Answers with the exit code. */
  readonly run: (command: C, argv: readonly string[]) => Promise<number>;
}

const noCommand = 127;
const helpFlags = ['-h', '-help', '--help'];
const versionFlags = ['-v', '-version', '--version'];

/** Answers with the exit code. */
export async function runProgram<C extends DescribedCommand>(
  { name, version, commands, printError, run }: Program<C>,
  argv: readonly string[],
): Promise<number> {
  const beforeDashes = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const start = beforeDashes.findIndex((word) => word !== '' && !word.startsWith('-'));
  const leading = start === -1 ? beforeDashes : argv.slice(0, start);
  if (leading.some((word) => versionFlags.includes(word))) {
    printError(`${version}\n`);
    return 0;
  }
  const asked = beforeDashes.some((word) => helpFlags.includes(word));
  const found = start === -1 ? undefined : find(commands, argv.slice(start));
  if (found === undefined) {
    printProgramHelp(name, commands, printError);
    return asked && start === -1 ? 0 : noCommand;
  }
  const help = () =>
    found.command === undefined
      ? printGroupHelp(commands, found.name, printError)
      : printCommandHelp(found.command, commands, printError);
  if (asked) {
    await help();
    return 0;
  }
  if (leading.some((word) => word !== '')) {
    printMisplacedFlags(printError);
    await help();
    return 1;
  }
  if (found.command !== undefined) return run(found.command, found.rest);
  await help();
  return 1;
}

interface Found<C> {
  readonly name: string;
  /** Undefined where the name is that of a group. */
  readonly command: C | undefined;
  readonly rest: readonly string[];
}

function find<C extends DescribedCommand>(commands: readonly C[], words: readonly string[]): Found<C> | undefined {
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

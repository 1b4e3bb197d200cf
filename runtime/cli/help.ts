// What is printed where a command is asked about or not found: SPIRE's texts, all of it on standard error. A group such as `agent` is no command
// itself; asked for, it prints the usage of each of its commands, then their list.

export interface CommandHelp {
  readonly usage: string;
  /** What SPIRE says after the usage that was asked for: the reason why nothing was run, where the command does not keep it to itself. */
  readonly end: string;
}

export const helpRequested = 'flag: help requested';

export interface DescribedCommand {
  /** `entry create`. */
  readonly name: string;
  readonly synopsis: string;
  readonly help: () => CommandHelp | Promise<CommandHelp>;
}

export type PrintError = (text: string) => void;

const misplacedFlags =
  'Invalid flags before the subcommand. If these flags are for\nthe subcommand, please put them after the subcommand.\n\n';

/** The commands and groups one word below a group, by name; below the program itself, with an empty name. */
type Children = ReadonlyMap<string, DescribedCommand | undefined>;

function childrenOf(commands: readonly DescribedCommand[], group: string): Children {
  const prefix = group === '' ? '' : `${group} `;
  const children = new Map<string, DescribedCommand | undefined>();
  for (const command of [...commands].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!command.name.startsWith(prefix)) continue;
    const name = prefix + firstWord(command.name.slice(prefix.length));
    children.set(name, name === command.name ? command : children.get(name));
  }
  return children;
}

export function printProgramHelp(program: string, commands: readonly DescribedCommand[], print: PrintError): void {
  const rows = rowsOf(childrenOf(commands, ''));
  print(`Usage: ${program} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n${rows}\n`);
}

/** A command may have others below it. */
export async function printCommandHelp(
  command: DescribedCommand,
  commands: readonly DescribedCommand[],
  print: PrintError,
): Promise<void> {
  const { usage, end } = await command.help();
  print(usage);
  const children = childrenOf(commands, command.name);
  await printUsages(children, print);
  print(children.size === 0 ? `${end}\n` : `${end}\n\nSubcommands:\n${rowsOf(children)}`);
}

export async function printGroupHelp(
  commands: readonly DescribedCommand[],
  group: string,
  print: PrintError,
): Promise<void> {
  const children = childrenOf(commands, group);
  await printUsages(children, print);
  print(`This command is accessed by using one of the subcommands below.\n\nSubcommands:\n${rowsOf(children)}`);
}

export function printMisplacedFlags(print: PrintError): void {
  print(misplacedFlags);
}

async function printUsages(children: Children, print: PrintError): Promise<void> {
  for (const command of children.values()) if (command !== undefined) print((await command.help()).usage);
}

function rowsOf(children: Children): string {
  const width = Math.max(...[...children.keys()].map((name) => lastWord(name).length));
  return [...children]
    .map(([name, command]) => `    ${lastWord(name).padEnd(width)}    ${command?.synopsis ?? ''}\n`)
    .join('');
}

function firstWord(text: string): string {
  return text.split(' ', 1)[0] ?? text;
}

function lastWord(text: string): string {
  return text.slice(text.lastIndexOf(' ') + 1);
}

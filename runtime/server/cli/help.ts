// What is printed where a command is asked about or not found: SPIRE's texts, all of it on standard error. A group such as `agent` is no command
// itself; asked for, it prints the usage of each of its commands, then their list.
import type { Command, Terminal } from './terminal.ts';

const program = 'spire-server';
const helpRequested = 'flag: help requested\n';
const misplacedFlags =
  'Invalid flags before the subcommand. If these flags are for\nthe subcommand, please put them after the subcommand.\n\n';

/** The commands and groups one word below a group, by name; below the program itself, with an empty name. */
export type Children = ReadonlyMap<string, Command | undefined>;

export function childrenOf(commands: readonly Command[], group: string): Children {
  const prefix = group === '' ? '' : `${group} `;
  const children = new Map<string, Command | undefined>();
  for (const command of [...commands].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!command.name.startsWith(prefix)) continue;
    const name = prefix + firstWord(command.name.slice(prefix.length));
    children.set(name, name === command.name ? command : children.get(name));
  }
  return children;
}

export function printProgramHelp(commands: readonly Command[], terminal: Terminal): void {
  const rows = rowsOf(childrenOf(commands, ''));
  terminal.err(`Usage: ${program} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n${rows}\n`);
}

export function printCommandHelp(command: Command, terminal: Terminal): void {
  terminal.err(command.usage() + helpRequested);
}

export function printGroupHelp(commands: readonly Command[], group: string, terminal: Terminal): void {
  const children = childrenOf(commands, group);
  for (const command of children.values()) if (command !== undefined) terminal.err(command.usage());
  terminal.err(`This command is accessed by using one of the subcommands below.\n\nSubcommands:\n${rowsOf(children)}`);
}

export function printMisplacedFlags(terminal: Terminal): void {
  terminal.err(misplacedFlags);
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

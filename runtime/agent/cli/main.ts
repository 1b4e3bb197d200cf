// Entry of the process `spire-agent`: finds the command, runs it, and turns its end into an exit code.
import { runProgram } from '../../cli/command-line.ts';
import { FlagError, formatUsage } from '../../cli/flags.ts';
import { describeError } from '../../log.ts';
import { RpcError, rpcErrorText } from '../../rpc/status.ts';
import { version } from '../version.ts';
import { commands } from './commands.ts';
import type { CommandEntry } from './commands.ts';
import { CommandError } from './terminal.ts';
import type { Terminal } from './terminal.ts';

const printError = (text: string) => void process.stderr.write(text);
const terminal: Terminal = {
  print: (text) => void process.stdout.write(`${text}\n`),
  printError: (text) => {
    printError(`${text}\n`);
  },
};

async function run(entry: CommandEntry, argv: readonly string[]): Promise<number> {
  const command = await entry.load();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));
  try {
    return await command.run(argv, { terminal, env: process.env, signal: stop.signal });
  } catch (error) {
    if (error instanceof FlagError) {
      printError(`${error.message}\n${formatUsage(entry.usageName, command.flags)}`);
      if (entry.repeated !== undefined) terminal.printError(entry.repeated(error.message));
    } else terminal.printError(messageOf(error));
    return 1;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof RpcError) return rpcErrorText(error);
  return error instanceof CommandError ? error.message : describeError(error);
}

process.exitCode = await runProgram({ name: 'spire-agent', version, commands, printError, run }, process.argv.slice(2));

// Entry of the process `spire-agent`: finds the command, runs it, and turns its end into an exit code.
import { FlagError, formatUsage } from '../../cli/flags.ts';
import { describeError } from '../../log.ts';
import { RpcError, rpcErrorText } from '../../rpc/status.ts';
import { version } from '../version.ts';
import { findCommand, usage } from './commands.ts';
import { CommandError } from './terminal.ts';
import type { Terminal } from './terminal.ts';

const terminal: Terminal = {
  print: (text) => void process.stdout.write(`${text}\n`),
  printError: (text) => void process.stderr.write(`${text}\n`),
};

async function main(argv: readonly string[]): Promise<number> {
  if (/^--?v(ersion)?$/.test(argv[0] ?? '')) {
    terminal.printError(version); // as SPIRE does
    return 0;
  }
  const entry = findCommand(argv);
  if (entry === undefined) {
    terminal.printError(usage());
    return 127;
  }
  const command = await entry.load();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));
  try {
    return await command.run(argv.slice(entry.words.length), { terminal, env: process.env, signal: stop.signal });
  } catch (error) {
    if (error instanceof FlagError) {
      terminal.printError(
        `${error.code === 'HELP' ? '' : `${error.message}\n`}${formatUsage(entry.words.join(' '), command.flags)}`,
      );
      return error.code === 'HELP' ? 0 : 1;
    }
    terminal.printError(messageOf(error));
    return 1;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof RpcError) return rpcErrorText(error);
  return error instanceof CommandError ? error.message : describeError(error);
}

process.exitCode = await main(process.argv.slice(2));

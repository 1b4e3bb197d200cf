// The entry of the spire-server process.
import { runCommandLine } from './commands.ts';
import { processTerminal } from './terminal.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), processTerminal());

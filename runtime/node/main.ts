// Entry of espalier-node: a command's name and its flags. Exit codes: 0 done, 1 failed, 2 wrong command line.
import { FlagError } from '../cli/flags.ts';
import { commands, reasonOf, UsageError } from './commands.ts';

const [name = '', ...argv] = process.argv.slice(2);
const command = commands.get(name);

if (command === undefined) {
  process.stderr.write(`usage: espalier-node ${[...commands.keys()].join('|')} [flags]\n`);
  process.exitCode = 2;
} else {
  try {
    await command(argv, {
      fetch: globalThis.fetch,
      env: process.env,
      clock: Date.now,
      print: (line) => process.stdout.write(`${line}\n`),
      note: (line) => process.stderr.write(`espalier-node ${name}: ${line}\n`),
    });
  } catch (cause) {
    process.stderr.write(`espalier-node ${name}: ${reasonOf(cause)}\n`);
    process.exitCode = cause instanceof UsageError || cause instanceof FlagError ? 2 : 1;
  }
}

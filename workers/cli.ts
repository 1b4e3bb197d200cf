// The control plane's command line: `espalier up [--once] [--file <yaml>] [--state <directory>]` and `espalier down`.
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { down } from './down.ts';
import { up } from './up.ts';

const usage =
  'usage: espalier up [--once] [--file <trust-domain.yaml>] [--state <directory>]\n       espalier down [--file <trust-domain.yaml>] [--state <directory>]\n';
const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    once: { type: 'boolean', default: false },
    state: { type: 'string', default: join(root, '.espalier') },
    file: { type: 'string', default: join(root, 'trust-domain.yaml') },
  },
});

const stopping = new AbortController();
const stop = (signal: NodeJS.Signals): void =>
  stopping.abort(new Error(`stopped by ${signal}; the workflow goes on at the next start`));
process.on('SIGINT', stop);
process.on('SIGTERM', stop);

async function run(): Promise<number> {
  const [command, ...others] = positionals;
  if (others.length > 0) return refuse(`unexpected argument ${others.join(' ')}`);
  const options = { root, stateDirectory: resolve(values.state), specFile: values.file, output: process.stdout };
  if (command === 'up') {
    await up({ ...options, once: values.once, signal: stopping.signal });
    return 0;
  }
  if (command === 'down') return (await down({ ...options, signal: stopping.signal })) ? 0 : 1;
  return refuse(command === undefined ? 'no command' : `unknown command ${command}`);
}

function refuse(reason: string): number {
  process.stderr.write(`espalier: ${reason}\n${usage}`);
  return 2;
}

try {
  process.exitCode = await run();
} catch (cause) {
  const messages: string[] = [];
  for (let current: unknown = cause; current instanceof Error; current = current.cause) {
    if (!messages.includes(current.message)) messages.push(current.message);
  }
  process.stderr.write(`espalier: ${messages.join(': ')}\n`);
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}
// Everything has been stopped by now; what a connection to Temporal still tries keeps nobody waiting.
process.exit();

// `espalier registration --config <file>`: the process. It ends with 0 when it is stopped, 2 where it was asked wrongly, 1 where it failed.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import type { Say } from '../../activities/registration/reconcile/ports.ts';
import { parseRegistrationConfig } from './config.ts';
import type { RegistrationConfig } from './config.ts';
import { planText } from './plan-text.ts';
import { runRegistration } from './registration.ts';

const usage = `usage: espalier registration --config <file> [--check-config] [--dry-run [--once]] [--accept-loss <cluster>]…
`;

const say: Say = (level, message, fields = {}) =>
  void process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, msg: message, ...fields })}\n`);

async function run(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: {
      config: { type: 'string' },
      'check-config': { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      once: { type: 'boolean', default: false },
      'accept-loss': { type: 'string', multiple: true, default: [] },
    },
  });
  if (values.config === undefined) return refuse('--config must name a file');
  const read = readConfig(values.config);
  const config = values['dry-run'] ? { ...read, dryRun: true } : read;
  if (values.once && !config.dryRun) return refuse('--once is for a dry run');
  const acceptLoss = values['accept-loss'];
  const stranger = acceptLoss.find((name) => !config.clusters.some((cluster) => cluster.name === name));
  if (stranger !== undefined) return refuse(`--accept-loss: ${stranger} is none of the clusters`);
  if (values['check-config']) return 0;
  await keepRegistered(config, acceptLoss, values.once);
  return 0;
}

async function keepRegistered(config: RegistrationConfig, acceptLoss: readonly string[], once: boolean): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort());
  let shown = '';
  await runRegistration({
    config,
    acceptLoss,
    say,
    signal: stopping.signal,
    onRound(round) {
      if (!config.dryRun) return;
      const text = planText(round);
      if (text !== shown) process.stdout.write(text);
      shown = text;
      if (once && round.waitingFor.length === 0) stopping.abort();
    },
  });
}

function readConfig(file: string): RegistrationConfig {
  try {
    return parseRegistrationConfig(parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause });
  }
}

function refuse(reason: string): number {
  process.stderr.write(`espalier: ${reason}\n${usage}`);
  return 2;
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (cause) {
  process.stderr.write(`espalier: ${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exitCode = 1;
}
// Everything has been stopped by now; what the agents of connections still keep open keeps nobody waiting.
process.exit();

// Entry of the process `spiffe-helper`.
import { readFile } from 'node:fs/promises';
import { FlagError, formatUsage, parseFlags } from '../cli/flags.ts';
import { createLog } from '../log.ts';
import { createWorkloadApi } from '../workloadapi/workload-api.ts';
import { parseHelperConfig } from './config.ts';
import { runHelper } from './helper.ts';

const version = '1.0.0';
const flags = {
  config: { kind: 'string', default: 'helper.conf', help: 'Configuration file path' },
  'daemon-mode': { kind: 'boolean', default: true, help: 'Keep the files up to date, or write them once and exit' },
  version: { kind: 'boolean', help: 'Print the version' },
} as const;

async function main(argv: readonly string[]): Promise<number> {
  const { values, given } = parseFlags(argv, flags);
  if (values.version) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const log = createLog({ level: 'info', format: 'text' }).child({ system: 'spiffe-helper' });
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));
  log.info({ path: values.config }, 'Using configuration file');
  try {
    const config = parseHelperConfig(await readFile(values.config, 'utf8'), values.config, {
      env: process.env,
      ...(given.has('daemon-mode') ? { daemon: values['daemon-mode'] } : {}),
    });
    const api = createWorkloadApi({ socketPath: config.socketPath });
    try {
      await runHelper({ config, api, log, clock: Date.now, signal: stop.signal });
    } finally {
      api.close();
    }
  } catch (error) {
    log.error({ err: error }, 'spiffe-helper ended');
    return 1;
  }
  log.info('Exiting');
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof FlagError)) throw error;
  const isHelp = error.code === 'HELP';
  process.stderr.write(`${isHelp ? '' : `${error.message}\n`}${formatUsage('spiffe-helper', flags)}\n`);
  process.exitCode = isHelp ? 0 : 2;
}

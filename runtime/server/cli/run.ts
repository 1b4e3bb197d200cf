// `run`: the server itself, until a signal ends it.
import { FlagError, formatUsage, parseFlags } from '../../cli/flags.ts';
import type { FlagValues } from '../../cli/flags.ts';
import { tightenUmask } from '../../cli/umask.ts';
import { createLog, logControlOf } from '../../log.ts';
import type { Logger } from '../../log.ts';
import { loadServerConfig } from '../config/load-config.ts';
import { runFlags } from '../config/run-flags.ts';
import type { ServerConfig } from '../config/server-config.ts';
import { checkPlugins } from '../plugins.ts';
import type { RunningServer } from '../server.ts';
import { startServer } from '../server.ts';
import type { Command, Terminal } from './terminal.ts';

export const runCommand: Pick<Command, 'run'> = {
  async run(argv, terminal) {
    const config = readConfig('run', argv, terminal, (message) => terminal.err(`${message}\n`));
    return config === undefined ? 1 : runServer(config);
  },
};

export const validateCommand: Pick<Command, 'run'> = {
  async run(argv, terminal) {
    const config = readConfig('validate', argv, terminal, (message) =>
      terminal.err(`SPIRE server configuration file is invalid: ${message}\n`),
    );
    if (config === undefined) return 1;
    for (const warning of config.warnings) terminal.err(`Warning: ${warning}\n`);
    terminal.out('SPIRE server configuration file is valid.\n');
    return 0;
  },
};

/** The configuration with its plugins' data checked; undefined where the fault has been told. */
function readConfig(
  name: string,
  argv: readonly string[],
  terminal: Terminal,
  tell: (message: string) => void,
): ServerConfig | undefined {
  let flags: FlagValues<typeof runFlags>;
  try {
    flags = parseFlags(argv, runFlags).values;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    // SPIRE says it twice: where the flags are read, and where the command fails.
    terminal.err(`${error.message}\n${formatUsage(name, runFlags)}`);
    tell(error.message);
    return undefined;
  }
  try {
    return loadServerConfig(flags, { ...terminal.env }, checkPlugins);
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

async function runServer(config: ServerConfig): Promise<number> {
  let log: Logger;
  try {
    log = createLog(config.log);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  tightenUmask(log);
  const stop = new AbortController();
  const onSignal = () => stop.abort(new Error('stopped by a signal'));
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  const stopListening = listenForOperator(log);
  for (const warning of config.warnings) log.warn(warning);
  log.info({ trust_domain_id: config.trustDomain.idString(), data_dir: config.dataDir }, 'Configured');

  let server: RunningServer | undefined;
  try {
    server = await startServer(config, { log, clock: Date.now, signal: stop.signal, onReconfigure });
    await untilAborted(stop.signal);
    log.info('Stopping Server APIs');
    await server.close();
  } catch (error) {
    if (!stop.signal.aborted) {
      log.error({ err: error }, 'Server crashed');
      return 1;
    }
    log.warn({ err: error }, 'Stopped before the server was up');
  } finally {
    stopListening();
  }
  log.info('Server stopped gracefully');
  return 0;
}

/** SIGUSR2 opens the log's file anew, after a rotation. Without a listener SIGUSR1 would open Node's debugger. */
function listenForOperator(log: Logger): () => void {
  const reopen = (): void => {
    try {
      logControlOf(log).reopen();
    } catch (error) {
      log.error({ err: error }, 'failed to rotate log after signal');
    }
  };
  const ignore = (): void => undefined;
  process.on('SIGUSR2', reopen).on('SIGUSR1', ignore);
  return () => process.off('SIGUSR2', reopen).off('SIGUSR1', ignore);
}

/** SIGUSR1, as in SPIRE. */
function onReconfigure(act: () => void): () => void {
  process.on('SIGUSR1', act);
  return () => process.off('SIGUSR1', act);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

// `run` and `validate`: the agent itself, and the question whether its configuration holds.
import { flushCompileCache } from 'node:module';
import { FlagError } from '../../cli/flags.ts';
import { tightenUmask } from '../../cli/umask.ts';
import { createLog, describeError } from '../../log.ts';
import { runAgent } from '../agent.ts';
import { loadAgentConfig } from '../config/load-config.ts';
import { prepareSocketDirectory } from '../workload-api/socket-directory.ts';
import type { Command } from './terminal.ts';

export const run: Command = async (argv, { env, signal }) => {
  const config = await loadAgentConfig(argv, env);
  const { file, ...format } = config.log;
  const log = createLog({ ...format, ...(file === undefined ? {} : { file }) });
  try {
    await prepareSocketDirectory(config.socketPath, log);
    tightenUmask(log);
    // An agent that is killed leaves what was compiled to the next one all the same.
    const onReady = () => flushCompileCache();
    await runAgent(config, { log, clock: Date.now, random: Math.random, signal, onReady });
  } catch (error) {
    log.error({ error: describeError(error) }, 'Agent crashed');
    return 1;
  }
  log.info('Agent stopped gracefully');
  return 0;
};

export const validate: Command = async (argv, { terminal, env }) => {
  try {
    await loadAgentConfig(argv, env);
  } catch (error) {
    if (error instanceof FlagError) throw error;
    terminal.printError(`SPIRE agent configuration file is invalid: ${describeError(error)}`);
    return 1;
  }
  terminal.print('SPIRE agent configuration file is valid.');
  return 0;
};

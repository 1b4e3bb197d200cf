// `run` and `validate`: the agent itself, and the question whether its configuration holds.
import { createLog, describeError } from '../../log.ts';
import { runAgent } from '../agent.ts';
import { loadAgentConfig } from '../config/load-config.ts';
import type { Command } from './terminal.ts';

export const run: Command = async (argv, { env, signal }) => {
  const config = await loadAgentConfig(argv, env);
  const { level, format, file } = config.log;
  const log = createLog({ level, format, ...(file === undefined ? {} : { file }) });
  try {
    await runAgent(config, { log, clock: Date.now, random: Math.random, signal });
  } catch (error) {
    log.error({ error: describeError(error) }, 'Agent crashed');
    return 1;
  }
  log.info('Agent stopped gracefully');
  return 0;
};

export const validate: Command = async (argv, { terminal, env }) => {
  await loadAgentConfig(argv, env);
  terminal.print('SPIRE agent configuration file is valid.');
  return 0;
};

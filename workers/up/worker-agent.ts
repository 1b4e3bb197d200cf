// Runs the control plane's own agent while its configuration is there: an activity writes it, and removes it at tear-down.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import type { StateDirectory } from './state-directory.ts';

export interface WorkerAgent {
  stop(): Promise<void>;
}

const lookMs = 200;

/** `command` is the agent's, without its configuration. */
export function superviseWorkerAgent(
  state: StateDirectory,
  directory: string,
  command: readonly [string, ...string[]],
): WorkerAgent {
  const file = join(directory, 'agent.conf');
  let running: { readonly text: string; readonly process: RunningProcess } | undefined;
  let busy: Promise<void> | undefined;

  async function look(): Promise<void> {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
    if (text === running?.text) return;
    await running?.process.stop();
    running = undefined;
    if (text === undefined) return;
    const [program, ...args] = command;
    const process = startProcess(state, {
      name: 'worker-agent',
      command: [program, ...args, 'run', '-config', file],
      restart: true,
    });
    running = { text, process };
  }

  const timer = setInterval(() => {
    busy ??= look().finally(() => {
      busy = undefined;
    });
  }, lookMs);

  return {
    async stop() {
      clearInterval(timer);
      await busy;
      await running?.process.stop();
    },
  };
}

// The lab that `up` runs: the clouds, in a process of its own, ready when it has written where it is.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import type { StateDirectory } from './state-directory.ts';

export interface RunningLab {
  readonly endpoint: string;
  /** The owner's, for GCP's APIs. */
  readonly token: string;
}

const startTimeoutMs = 60_000;
const descriptionSchema = z.object({ endpoint: z.string(), gcp: z.object({ accessToken: z.string() }) });

/** `keep` gets the process before it is ready, so that it is stopped when it never is. */
export async function startLab(
  root: string,
  state: StateDirectory,
  keep: (started: RunningProcess) => void,
): Promise<RunningLab> {
  const file = state.path('lab', 'lab.json');
  rmSync(file, { force: true }); // what a killed lab left says nothing about this one
  const started = startProcess(state, {
    name: 'lab',
    command: [process.execPath, join(root, 'lab/main.ts'), '--state', state.path('lab')],
  });
  keep(started);
  for (const deadline = Date.now() + startTimeoutMs; !existsSync(file); await sleep(50)) {
    const ended = started.ended();
    if (ended !== undefined) throw new Error(`the lab ${ended}; see ${state.path('logs/lab.log')}`);
    if (Date.now() > deadline)
      throw new Error(`the lab was not ready in ${startTimeoutMs / 1000} s; see ${state.path('logs/lab.log')}`);
  }
  const { endpoint, gcp } = descriptionSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  return { endpoint, token: gcp.accessToken };
}

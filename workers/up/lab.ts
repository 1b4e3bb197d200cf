// The lab that `up` runs: the clouds, in a process of its own, ready when it has written where it is.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { isolations } from './isolation.ts';
import type { LabIsolation } from './isolation.ts';
import { startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import type { StateDirectory } from './state-directory.ts';

export interface RunningLab {
  readonly endpoint: string;
  /** The owner's, for GCP's APIs. */
  readonly token: string;
}

const startTimeoutMs = 60_000;
const descriptionSchema = z.object({
  endpoint: z.string(),
  isolation: z.enum(isolations),
  gcp: z.object({ accessToken: z.string() }),
});

export interface LabOptions {
  /** Absent: as its instances are. */
  readonly isolation?: LabIsolation | undefined;
  /** What its instances are to reach on this machine's loopback. */
  readonly reach?: readonly string[];
}

/** `keep` gets the process before it is ready, so that it is stopped when it never is. */
export async function startLab(
  root: string,
  state: StateDirectory,
  keep: (started: RunningProcess) => void,
  { isolation, reach = [] }: LabOptions = {},
): Promise<RunningLab> {
  const file = state.path('lab', 'lab.json');
  rmSync(file, { force: true }); // what a killed lab left says nothing about this one
  const urls = reach.map((url) => new URL(url));
  const flags = [
    ...(isolation === undefined ? [] : ['--isolation', isolation]),
    ...urls.filter(isOnLoopback).flatMap(({ port }) => ['--reach', port]),
  ];
  const started = startProcess(state, {
    name: 'lab',
    command: [process.execPath, join(root, 'lab/main.ts'), '--state', state.path('lab'), ...flags],
  });
  keep(started);
  for (const deadline = Date.now() + startTimeoutMs; !existsSync(file); await sleep(50)) {
    const ended = started.ended();
    if (ended !== undefined) throw new Error(`the lab ${ended}; see ${state.path('logs/lab.log')}`);
    if (Date.now() > deadline)
      throw new Error(`the lab was not ready in ${startTimeoutMs / 1000} s; see ${state.path('logs/lab.log')}`);
  }
  const description = descriptionSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  const away = description.isolation === 'none' ? undefined : urls.find((url) => !isOnLoopback(url));
  if (away !== undefined)
    throw new Error(`instances in namespaces reach nothing outside of this machine, and ${away.host} is not on its loopback`); // prettier-ignore
  return { endpoint: description.endpoint, token: description.gcp.accessToken };
}

function isOnLoopback({ hostname, port }: URL): boolean {
  return port !== '' && hostname === '127.0.0.1';
}

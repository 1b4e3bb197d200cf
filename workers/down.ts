// `down`: takes the trust domain away and stops everything. A bootstrap that still runs is cancelled first, and undoes what it began.
import { rmSync } from 'node:fs';
import { loadSpec } from './up/load-spec.ts';
import { takeLock } from './up/lock.ts';
import type { Output } from './up/progress-view.ts';
import { openStateDirectory } from './up/state-directory.ts';
import { openRuns, unlessStopped } from './up/workflows.ts';
import { inWorld } from './up/world.ts';

export interface DownOptions {
  readonly root: string;
  readonly stateDirectory: string;
  readonly specFile: string;
  readonly output: Output;
  /** Aborted by Ctrl-C or SIGTERM: the tear-down goes on at the next start. */
  readonly signal: AbortSignal;
}

/** Returns false when a person must clean something up; it has been named then. */
export async function down({ root, stateDirectory, specFile, output, signal }: DownOptions): Promise<boolean> {
  const say = (line: string): void => void output.write(`${line}\n`);
  const spec = loadSpec(specFile);
  const state = openStateDirectory(stateDirectory);
  const release = takeLock(state);
  try {
    return await inWorld({ root, state, spec, say }, async (world) => {
      // Never closed: a call that is being tried again would throw where nobody catches it. The process ends without asking it.
      const runs = await openRuns(world.temporal);
      await unlessStopped(runs.cancelBootstrap(spec.trustDomain), signal);
      const { left } = await unlessStopped(runs.tearDown(spec), signal);
      rmSync(state.path('summary.json'), { force: true });
      if (left.length === 0) say(`Trust domain ${spec.trustDomain} is gone: nothing is left.`);
      else say(['A person must clean up:', ...left.map(({ name, reason }) => `  ${name}: ${reason}`)].join('\n'));
      return left.length === 0;
    });
  } finally {
    release();
  }
}

// One case of the bootstrap: a fresh state directory, a bootstrap, the fault, what must stand afterwards, and a tear-down after which nothing is left.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootstrapCase, Fault, Phase } from './cases.ts';
import { runEspalier } from './espalier.ts';
import { endUp, faultStories, reachMoment, refuseFaults, takeDown } from './faults.ts';
import type { Story } from './faults.ts';
import { checkGone, checkStanding, directoriesOf } from './left-over.ts';
import { findProcesses, killProcesses } from './processes.ts';
import { createChance } from './random.ts';

const root = resolve(import.meta.dirname, '../..');
const spec = join(import.meta.dirname, 'trust-domain.yaml');

export interface CaseRun extends BootstrapCase {
  readonly seed: number;
  readonly tell: (line: string) => void;
  /** Aborted by Ctrl-C: the case's processes are ended like those of one that failed. */
  readonly signal: AbortSignal;
}

/** Returns why it failed. The directories of a case that failed are kept, its processes are not. */
export async function runBootstrapCase({
  name,
  fault,
  phase,
  seed,
  tell,
  signal,
}: CaseRun): Promise<string | undefined> {
  // Short, because sockets lie in it, and open, because PostgreSQL runs as another user.
  const state = mkdtempSync('/tmp/espalier-endurance-');
  chmodSync(state, 0o755);
  tell(state);
  const story: Story = { root, state, spec, chance: createChance(seed, name), tell };
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
  });
  try {
    await Promise.race([perform(story, fault, phase), stopped]);
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  } finally {
    await killProcesses(() => findProcesses(directoriesOf(story)));
  }
  for (const directory of directoriesOf(story)) rmSync(directory, { recursive: true, force: true });
  return undefined;
}

async function perform(story: Story, fault: Fault, phase: Phase): Promise<void> {
  const { state, tell } = story;
  const up = runEspalier(root, 'up', state, spec);
  await reachMoment(story, phase, up);
  const standing = await faultStories[fault](story, up);
  if (standing !== undefined) {
    tell('the trust domain stands');
    refuseFaults('while up is up', await settled(() => checkStanding(story, standing.pid)));
    await endUp(story, standing);
    await takeDown(story);
  }
  refuseFaults('when all is gone', await checkGone(story));
}

const settlingMs = 30_000;

/** The fault may have come as the domain stood already: what was killed is back a moment later. Returns what stays wrong. */
async function settled(check: () => Promise<string[]>): Promise<string[]> {
  const deadline = Date.now() + settlingMs;
  for (;;) {
    const faults = await check();
    if (faults.length === 0 || Date.now() > deadline) return faults;
    await sleep(500);
  }
}

// The kinds of faults as stories: each begins in a phase of a bootstrap and ends with a trust domain that stands, or with nothing at all.
import { setTimeout as sleep } from 'node:timers/promises';
import { queues } from './cases.ts';
import type { Fault, Phase } from './cases.ts';
import { isUp, phaseBegun, runEspalier } from './espalier.ts';
import type { Run } from './espalier.ts';
import { checkStopped, directoriesOf } from './left-over.ts';
import type { Place } from './left-over.ts';
import { findProcesses, kill, killProcesses } from './processes.ts';
import type { Chance } from './random.ts';

export interface Story extends Place {
  readonly spec: string;
  readonly chance: Chance;
  /** Tells what is done, and when. */
  readonly tell: (line: string) => void;
}

/** Returns the `up` that has the trust domain standing; `undefined` where `down` took it away. */
export type FaultStory = (story: Story, up: Run) => Promise<Run | undefined>;

/** Until the phase has begun, and a random moment longer. */
export async function reachMoment({ chance, tell }: Story, phase: Phase, up: Run): Promise<void> {
  const segment = chance.pick(['gcp', 'aws']);
  const delay = Math.round(chance.below(2000));
  await up.waitFor(`phase ${phase}`, phaseBegun(phase, segment));
  await sleep(delay);
  tell(`${phase} of ${segment} has begun, and ${delay} ms have passed`);
}

export const faultStories: Readonly<Record<Fault, FaultStory>> = {
  async 'kill-one-worker'(story, up) {
    killWorkers(story, [story.chance.pick(queues)]);
    await up.waitFor('the trust domain', isUp);
    return up;
  },

  async 'kill-all-workers'(story, up) {
    killWorkers(story, queues);
    await up.waitFor('the trust domain', isUp);
    return up;
  },

  async 'kill-everything'(story, up) {
    await killEverything(story, up);
    return upAgain(story);
  },

  async interrupt(story, up) {
    await interrupt(story, up);
    const again = await upAgain(story);
    // What runs is attached to; what had ended before the interrupt stands. A second bootstrap would be a new one.
    if (!/ (attached|completed before)/.test(again.output())) throw new Error(`not gone on with:\n${again.output()}`);
    return again;
  },

  async down(story, up) {
    if (story.chance.below(2) < 1) await killEverything(story, up);
    else await interrupt(story, up);
    await takeDown(story);
    return undefined;
  },
};

/** Ends with exit code 130, or 0 where the run was over before, and leaves nothing running. */
async function interrupt(story: Story, up: Run): Promise<void> {
  const isOver = isUp.test(up.output());
  story.tell('interrupting up');
  up.signal('SIGINT');
  const code = await up.end();
  if (code !== 130 && !(code === 0 && (isOver || isUp.test(up.output()))))
    throw new Error(`an interrupted up ended with ${code}:\n${up.output()}`);
  refuseFaults('after an interrupted up', checkStopped(story));
}

async function upAgain(story: Story): Promise<Run> {
  story.tell('up again');
  const again = runEspalier(story.root, 'up', story.state, story.spec);
  await again.waitFor('the trust domain', isUp);
  return again;
}

/** Of its own accord an `up` that stays up ends with 0. */
export async function endUp(story: Story, up: Run): Promise<void> {
  up.signal('SIGINT');
  const code = await up.end();
  if (code !== 0) throw new Error(`up ended with ${code}:\n${up.output()}`);
  refuseFaults('after up', checkStopped(story));
}

export async function takeDown(story: Story): Promise<void> {
  story.tell('down');
  const down = runEspalier(story.root, 'down', story.state, story.spec);
  const code = await down.end();
  if (code !== 0) throw new Error(`down ended with ${code}:\n${down.output()}`);
  refuseFaults('after down', checkStopped(story));
}

/** `up` first, or it would start again what was killed; then everything at once, as often as there is something. */
async function killEverything(story: Story, up: Run): Promise<void> {
  story.tell('killing everything');
  kill(up.pid);
  await up.end();
  await killProcesses(() => findProcesses(directoriesOf(story)));
}

function killWorkers(story: Story, victims: readonly string[]): void {
  const found = findProcesses(directoriesOf(story)).filter(({ command }) =>
    victims.some((queue) => command.endsWith(`/workers/worker.ts --queue ${queue}`)),
  );
  if (found.length !== victims.length) throw new Error(`${found.length} workers of ${victims.join(', ')} are running`);
  story.tell(`killing the workers of ${victims.join(', ')}`);
  for (const { pid } of found) kill(pid);
}

export function refuseFaults(when: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(`${when}: ${faults.join('; ')}`);
}

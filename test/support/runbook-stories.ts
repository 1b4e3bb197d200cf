// How each runbook is brought to a good end on a fake fleet in trouble, and what leaves it to a person: what is recorded, and what is disturbed.
import type { WorkflowHandle } from '@temporalio/client';
import type { FakeWorld } from '../fakes/fake-world.ts';

/** What a story is played on. */
export interface StoryStage {
  readonly world: FakeWorld;
  /** Starts a workflow on the story's own trust domain. */
  readonly start: (workflow: string, request?: object) => Promise<WorkflowHandle>;
}

export const quick = { lookEvery: '100ms', deadline: '60s' };
export const hopeless = { lookEvery: '100ms', deadline: '300ms' };

export const leafAgent = ({ world }: StoryStage): string =>
  [...world.fleet.agents].find(([, { tier }]) => tier === 'leaf')?.[0] ?? '';

export async function waiting(handle: WorkflowHandle, words: string): Promise<string> {
  for (;;) {
    const found = await handle.query<{ waitingFor?: string; planDigest?: string }>('progress').catch(() => undefined);
    if (found?.waitingFor?.includes(words) === true) return found.planDigest ?? '';
    const { status } = await handle.describe();
    if (status.name !== 'RUNNING') throw new Error(`${handle.workflowId} is ${status.name}, not waiting for ${words}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function approve(handle: WorkflowHandle): Promise<void> {
  const planDigest = await waiting(handle, 'approval');
  const approval = { planDigest, gate: 'action', approver: 'somebody', reason: 'seen' };
  await handle.executeUpdate<string, [object]>('approve', { args: [approval] });
}

/** A tier or a server that is away until it has been looked for. */
async function outage(stage: StoryStage, type: string, subject: string, [set, name]: ['down' | 'away', string]) {
  stage.world.troubles[set].add(name);
  const handle = await stage.start(type, { subject, policy: quick });
  await waiting(handle, '');
  stage.world.troubles[set].clear();
  return handle;
}

export interface RunbookStory {
  readonly runbook: string;
  readonly subject: (stage: StoryStage) => string;
  /** How it ends well; left out: nothing is wrong from the beginning. */
  readonly well?: (stage: StoryStage, subject: string) => Promise<WorkflowHandle>;
  /** What a person is left with. */
  readonly trouble?: (stage: StoryStage, subject: string) => void;
  /** Faulty, or it would be looked at. */
  readonly failing: object;
}

const nowhere = { subject: 'nowhere' };
const noAgent = { subject: 'node-1' };

export const runbookStories: readonly RunbookStory[] = [
  {
    runbook: 'downstreamServerDown',
    subject: () => 'leaf-0',
    well: (stage, subject) => outage(stage, 'downstreamServerDown', subject, ['down', 'leaf-0']),
    trouble: ({ world }) => void world.troubles.down.add('leaf-0'),
    failing: nowhere,
  },
  {
    runbook: 'downstreamClusterDown',
    subject: () => 'leaf',
    well: (stage, subject) => outage(stage, 'downstreamClusterDown', subject, ['down', 'leaf-0']),
    trouble: ({ world }) => void world.troubles.down.add('leaf-0'),
    failing: nowhere,
  },
  {
    runbook: 'upstreamUnreachable',
    subject: () => '',
    well: (stage, subject) => outage(stage, 'upstreamUnreachable', subject, ['away', 'root']),
    trouble: ({ world }) => void world.troubles.away.add('root'),
    failing: { policy: { deadline: 'soon' } },
  },
  {
    runbook: 'intermediateRenewalFailing',
    subject: () => 'middle',
    // The fake's CAs all end at one time: what was done is all that shows.
    well: (stage, subject) => stage.start('intermediateRenewalFailing', { subject, policy: hopeless }),
    trouble: ({ world }) => void world.troubles.away.add('root'),
    failing: nowhere,
  },
  {
    runbook: 'datastoreFailover',
    subject: () => 'root',
    well: (stage, subject) => outage(stage, 'datastoreFailover', subject, ['away', 'root']),
    trouble: ({ world }) => void world.troubles.away.add('root'),
    failing: nowhere,
  },
  {
    runbook: 'datastoreLost',
    subject: () => 'root',
    async well(stage, subject) {
      await (await stage.start('snapshotTrust', {})).result();
      stage.world.troubles.entries.set('root', ['root/0']);
      const handle = await stage.start('datastoreLost', { subject, policy: quick });
      await approve(handle);
      return handle;
    },
    trouble: ({ world }) => void world.troubles.away.add('root'),
    failing: nowhere,
  },
  {
    runbook: 'agentCrashLoop',
    subject: leafAgent,
    well: (stage, subject) => stage.start('agentCrashLoop', { subject, policy: quick }),
    trouble: (stage) => void stage.world.troubles.banned.add(leafAgent(stage)),
    failing: noAgent,
  },
  {
    runbook: 'agentUnreachable',
    subject: leafAgent,
    async well(stage, subject) {
      const { troubles } = stage.world;
      troubles.expired.add(subject);
      const handle = await stage.start('agentUnreachable', { subject, policy: quick });
      await approve(handle);
      while (!troubles.evicted.has(subject)) await new Promise((resolve) => setTimeout(resolve, 20));
      troubles.evicted.clear();
      return handle;
    },
    trouble: (stage) => void stage.world.troubles.expired.add(leafAgent(stage)),
    failing: noAgent,
  },
  {
    runbook: 'massAgentFailure',
    subject: () => 'leaf',
    trouble: ({ world }) => void world.troubles.down.add('leaf-0'),
    failing: nowhere,
  },
  {
    runbook: 'agentSvidNearExpiry',
    subject: leafAgent,
    async well(stage, subject) {
      stage.world.troubles.endsAt = '2026-12-01T00:00:00.000Z';
      const handle = await stage.start('agentSvidNearExpiry', { subject, policy: quick });
      await waiting(handle, 'to renew');
      stage.world.troubles.endsAt = '2026-12-01T01:00:00.000Z';
      return handle;
    },
    trouble: (stage) => void stage.world.troubles.banned.add(leafAgent(stage)),
    failing: noAgent,
  },
  {
    runbook: 'containNode',
    subject: leafAgent,
    async well(stage, subject) {
      stage.world.troubles.endsAt = new Date(Date.now() + 1_000).toISOString();
      const handle = await stage.start('containNode', { subject, policy: quick });
      await approve(handle);
      return handle;
    },
    trouble: () => undefined,
    failing: noAgent,
  },
  {
    runbook: 'registrationEntryDrop',
    subject: () => 'leaf',
    async well(stage, subject) {
      await (await stage.start('snapshotTrust', {})).result();
      stage.world.troubles.entries.set('leaf', ['leaf/0']);
      const handle = await stage.start('registrationEntryDrop', { subject, policy: quick });
      await approve(handle);
      return handle;
    },
    trouble: () => undefined,
    failing: nowhere,
  },
  {
    runbook: 'unplannedCaRotation',
    subject: () => 'root',
    async well(stage, subject) {
      await (await stage.start('snapshotTrust', {})).result();
      return stage.start('unplannedCaRotation', { subject });
    },
    trouble: () => undefined,
    failing: nowhere,
  },
  {
    runbook: 'overlayTunnelDown',
    subject: () => '',
    trouble: ({ world }) => void world.troubles.down.add('middle-0'),
    failing: { policy: { deadline: 'soon' } },
  },
];

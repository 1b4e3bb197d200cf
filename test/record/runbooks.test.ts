// Records the runbooks on a fake fleet in trouble: each as it ends well, as it leaves something to a person, and as it fails.
import { afterAll, beforeAll, describe } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { record } from './recording.ts';
import type { Stage } from './recording.ts';

let started: TestTemporal;
beforeAll(async () => {
  started = await startTestTemporal();
});
afterAll(() => started.close());
const temporal = (): TestTemporal => started;

const quick = { lookEvery: '100ms', deadline: '60s' };
const hopeless = { lookEvery: '100ms', deadline: '300ms' };

const leafAgent = ({ world }: Stage): string =>
  [...world.fleet.agents].find(([, { tier }]) => tier === 'leaf')?.[0] ?? '';

async function waiting(handle: WorkflowHandle, words: string): Promise<string> {
  for (;;) {
    const found = await handle.query<{ waitingFor?: string; planDigest?: string }>('progress').catch(() => undefined);
    if (found?.waitingFor?.includes(words) === true) return found.planDigest ?? '';
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function approve(handle: WorkflowHandle): Promise<void> {
  const planDigest = await waiting(handle, 'approval');
  const approval = { planDigest, gate: 'action', approver: 'somebody', reason: 'seen' };
  await handle.executeUpdate<string, [object]>('approve', { args: [approval] });
}

/** A tier or a server that is away until it has been looked for. */
async function outage(stage: Stage, type: string, subject: string, [set, name]: ['down' | 'away', string]) {
  stage.world.troubles[set].add(name);
  const handle = await stage.start(type, { subject, policy: quick });
  await waiting(handle, '');
  stage.world.troubles[set].clear();
  return handle;
}

interface Case {
  readonly runbook: string;
  readonly subject: (stage: Stage) => string;
  /** How it ends well; left out: nothing is wrong from the beginning. */
  readonly well?: (stage: Stage, subject: string) => Promise<WorkflowHandle>;
  /** What a person is left with. */
  readonly trouble?: (stage: Stage, subject: string) => void;
  /** Faulty, or it would be looked at. */
  readonly failing: object;
}

const nowhere = { subject: 'nowhere' };
const noAgent = { subject: 'node-1' };

const cases: readonly Case[] = [
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

describe.each(cases.map((one) => [one.runbook, one] as const))('%s', (runbook, { subject, well, trouble, failing }) => {
  const keep = [runbook];
  record(temporal, { name: `${runbook}-ended-well`, keep }, async (stage) =>
    well === undefined ? stage.start(runbook, { subject: subject(stage) }) : well(stage, subject(stage)),
  );
  record(temporal, { name: `${runbook}-needs-a-person`, keep }, (stage) => {
    trouble?.(stage, subject(stage));
    return stage.start(runbook, { subject: subject(stage), policy: hopeless });
  });
  record(temporal, { name: `${runbook}-refused`, keep }, (stage) => stage.start(runbook, failing));
});

describe('snapshotTrust', () => {
  const keep = ['snapshotTrust'];
  record(temporal, { name: 'snapshot-kept', keep }, ({ start }) => start('snapshotTrust', {}));
  record(temporal, { name: 'snapshot-refused', keep }, ({ start }) => start('snapshotTrust', { tier: 'nowhere' }));
});

describe('evictAndReattest', () => {
  const keep = ['evictAndReattest'];
  const node = 'aws-node-0';
  record(temporal, { name: 'readmitted', keep }, async ({ start, world }) => {
    const stand = [
      'gcp instance upstream-0',
      'gcp instance gcp-server-0',
      'aws instance aws-server-0',
      `aws instance ${node}`,
    ];
    for (const thing of stand) world.put(thing);
    const agentId = 'spiffe://readmitted.example.org/spire/agent/aws/aws-node-0';
    const agent = { tier: 'aws', away: true, knows: new Set<string>(), knowsTainted: new Set<string>(), under: '' };
    world.fleet.agents.set(agentId, agent);
    world.troubles.expired.add(agentId);
    const request = {
      topology: undefined,
      spec: { ...spec, trustDomain: 'readmitted.example.org' },
      subject: node,
      policy: quick,
    };
    const handle = await start('evictAndReattest', request);
    await approve(handle);
    while (!world.troubles.evicted.has(agentId)) await new Promise((resolve) => setTimeout(resolve, 20));
    world.troubles.evicted.clear();
    return handle;
  });
  record(temporal, { name: 'without-a-cloud', keep }, ({ start }) => start('evictAndReattest', { subject: node }));
});

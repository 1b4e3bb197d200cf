// Rollouts of agents in waves, on a real Temporal server and fake clouds: how waves are cut, what stops them, and what people can say.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import type { KeptRollOutReport } from '../../workflows/rollout/roll-out-in-waves.ts';
import type { RollOutProgress } from '../../workflows/rollout/rollout-progress.ts';
import { plannedWaves, shareOut } from '../../workflows/rollout/waves.ts';
import { checkRollOut } from '../../activities/rollout/check-rollout.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { spec } from '../support/specs.ts';
import { standsStill } from '../support/stands-still.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let runs = 0;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(() => temporal.close());

const artifact = { url: 'http://127.0.0.1:1/new.tar.gz', sha256: 'ab'.repeat(32), version: '0.1.0' };

/** A trust domain that stands, with so many nodes in each cloud, all with an agent of long ago. */
function stage(gcp: number, aws: number) {
  runs += 1;
  const trustDomain = `rolling-${runs}.example.org`;
  const world = createFakeWorld(trustDomain);
  const names = [
    ...Array.from({ length: gcp }, (_, i) => `gcp-node-${i}`),
    ...Array.from({ length: aws }, (_, i) => `aws-node-${i}`),
  ];
  for (const server of ['gcp instance upstream-0', 'gcp instance gcp-server-0', 'aws instance aws-server-0'])
    world.put(server);
  for (const name of names) {
    world.put(`${name.slice(0, 3)} instance ${name}`);
    world.nodes.releases.set(name, ['old']);
  }
  const segments = spec.segments.map((segment, index) => ({ ...segment, nodes: [gcp, aws][index] ?? 1 }));
  const workloads: [] = [];
  const start = (request: object, workflowId = `rollOutAgents/${trustDomain}`): Promise<WorkflowHandle> =>
    temporal.environment.client.workflow.start('rollOutAgents', {
      args: [{ spec: { ...spec, trustDomain, segments, workloads }, artifact, ...request }],
      taskQueue: 'control',
      workflowId,
    });
  const run = (request: object, act: (handle: WorkflowHandle) => Promise<void> = async () => undefined) =>
    temporal.withWorkers(world, async () => {
      const handle = await start(request);
      await act(handle);
      return { report: (await handle.result()) as KeptRollOutReport, handle };
    });
  const onIt = () => names.filter((name) => world.nodes.releases.get(name)?.[0] === artifact.sha256);
  return { world, nodes: world.nodes, names, run, start, onIt };
}

async function waiting(handle: WorkflowHandle, words: string): Promise<RollOutProgress> {
  for (;;) {
    const progress = await handle.query<RollOutProgress>('progress').catch(() => undefined); // it may not have begun
    if (progress?.waitingFor?.includes(words) === true) return progress;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const sizes = ({ nodes }: FakeWorld): number[] => {
  const byWave = new Map<string, number>();
  for (const { id, names } of nodes.commands) byWave.set(id, (byWave.get(id) ?? 0) + names.length);
  return [...byWave.values()];
};

describe('a rollout', () => {
  it('takes a canary of each segment first, then as many as may be unavailable, and every node once', async () => {
    const { world, run, names, onIt } = stage(12, 8);
    const { report } = await run({ policy: { maxUnavailable: '25%' } });
    expect(report).toMatchObject({ outcome: 'rolled out', rolled: 20, failed: [], plannedWaves: [2, 5, 5, 5, 3] });
    expect(sizes(world)).toEqual([2, 5, 5, 5, 3]);
    expect(report.waves.map(({ nodes }) => nodes)).toEqual([2, 5, 5, 5, 3]);
    expect(onIt()).toEqual(names);
    expect(world.nodes.commands.flatMap((command) => command.names).toSorted()).toEqual(names.toSorted());
    expect(report.segments).toMatchObject([
      { segment: 'gcp', total: 12, current: 12 },
      { segment: 'aws', total: 8, current: 8 },
    ]);
  });

  it('finds nothing to do where all have it, and only what is left where some have', async () => {
    const { run, nodes, names, world } = stage(2, 2);
    for (const name of names.slice(0, 3)) nodes.releases.set(name, [artifact.sha256, 'old']);
    expect((await run({})).report).toMatchObject({ outcome: 'rolled out', rolled: 1 });
    const before = world.calls.length;
    expect((await run({})).report).toMatchObject({ outcome: 'nothing to do', rolled: 0, waves: [] });
    expect(world.calls.slice(before).filter((call) => /apply|ensureInstance/.test(call))).toEqual([]);
  });

  it('leaves out nodes that do not run, and other segments, and says so', async () => {
    const { run, nodes, onIt } = stage(2, 3);
    nodes.down.add('aws-node-1');
    const { report } = await run({ segments: ['aws'] });
    expect(onIt()).toEqual(['aws-node-0', 'aws-node-2']);
    expect(report.segments).toMatchObject([{ segment: 'aws', total: 3, current: 2, down: 1 }]);
  });

  it('rehearsed changes nothing', async () => {
    const { run, onIt, world } = stage(4, 2);
    const { report } = await run({ dryRun: true, policy: { maxUnavailable: 2 } });
    expect(report).toMatchObject({ outcome: 'dry run', plannedWaves: [2, 2, 2], waves: [] });
    expect([onIt(), world.nodes.commands, report.file]).toEqual([[], [], '']);
  });

  it('goes on in another run before the history is full, with what it knew', async () => {
    const { run, onIt, names } = stage(42, 1);
    const { report, handle } = await run({ policy: { maxUnavailable: 1 } });
    expect(report).toMatchObject({ outcome: 'rolled out', rolled: 43 });
    expect(report.waves).toHaveLength(42);
    expect(onIt()).toEqual(names);
    const { raw } = await handle.describe();
    expect(raw.workflowExecutionInfo?.firstRunId).not.toBe(raw.workflowExecutionInfo?.execution?.runId);
  }, 120_000);
});

describe('a node that fails', () => {
  it('stops the rollout, which goes on with it when somebody says resume', async () => {
    const { run, nodes, names, onIt } = stage(4, 1);
    nodes.failing.add('gcp-node-1');
    const { report } = await run({ policy: { maxUnavailable: 2 } }, async (handle) => {
      const progress = await waiting(handle, 'a decision: 1 nodes failed, 0 may');
      expect(progress.failed).toEqual([
        { segment: 'gcp', name: 'gcp-node-1', what: 'the agent is not healthy with it' },
      ]);
      nodes.failing.clear();
      await handle.signal('resume');
    });
    expect(report).toMatchObject({ outcome: 'rolled out', failed: [], rolled: 5 });
    expect(onIt()).toEqual(names);
  });

  it('is judged again where its agent had the release and was not healthy', async () => {
    const { run, nodes, world } = stage(2, 1);
    nodes.unhealthy.add('gcp-node-0');
    const { report } = await run({}, async (handle) => {
      await waiting(handle, 'a decision');
      await handle.signal('resume');
      while (world.calls.filter((call) => call === 'control waitForAgents').length < 3)
        await new Promise((resolve) => setTimeout(resolve, 20));
      await waiting(handle, 'a decision');
      nodes.unhealthy.clear();
      await handle.signal('resume');
    });
    expect(report).toMatchObject({ outcome: 'rolled out', failed: [], rolled: 3 });
  });

  it('may fail where the policy says so, and is named', async () => {
    const { run, nodes, onIt } = stage(4, 1);
    nodes.failing.add('gcp-node-2');
    const { report } = await run({ policy: { mayFail: 1, maxUnavailable: 1 } });
    expect(report).toMatchObject({ outcome: 'rolled out', rolled: 4, failed: [{ name: 'gcp-node-2' }] });
    expect(onIt()).not.toContain('gcp-node-2');
  });

  it('takes all of them back where the policy says so', async () => {
    const { run, nodes, onIt, names } = stage(5, 1);
    nodes.unhealthy.add('gcp-node-3');
    const { report } = await run({ policy: { onFailure: 'roll back', maxUnavailable: 2 } });
    expect(report).toMatchObject({ outcome: 'rolled back', segments: [{ current: 0 }, { current: 0 }] });
    expect(onIt()).toEqual([]);
    expect(names.map((name) => nodes.releases.get(name))).toEqual(names.map(() => ['old']));
    expect(report.failed.map(({ name }) => name)).toContain('gcp-node-3');
  });
});

describe('people', () => {
  it('can have it rolled back at any time: only what this rollout changed', async () => {
    const { run, nodes, onIt } = stage(4, 1);
    nodes.releases.set('gcp-node-3', [artifact.sha256]);
    nodes.failing.add('gcp-node-2');
    const { report } = await run({ policy: { maxUnavailable: 1 } }, async (handle) => {
      await waiting(handle, 'a decision');
      await handle.signal('rollBack', 'the new one leaks');
    });
    expect(report).toMatchObject({ outcome: 'rolled back', rolled: 3 });
    expect(report.notes).toContain('asked to roll back: the new one leaks');
    expect(onIt()).toEqual(['gcp-node-3']);
  });

  it('can pause, go on, and abort, which leaves what is done', async () => {
    const { run, onIt, world } = stage(3, 1);
    /** Holds the next wave until it is paused in it: however long that takes, the one after it does not begin. */
    const holdWave = () => {
      let letGo = (): void => undefined;
      world.blocked = { call: 'control waitForAgents', until: new Promise((resolve) => (letGo = resolve)) };
      const before = world.calls.length;
      return async (handle: WorkflowHandle) => {
        await expect.poll(() => world.calls.slice(before)).toContain('control waitForAgents');
        await handle.signal('pause');
        letGo();
      };
    };
    const pauseFirst = holdWave();
    const { report } = await run({ policy: { maxUnavailable: 1, soak: '300ms' } }, async (handle) => {
      await pauseFirst(handle);
      await waiting(handle, 'looking at wave 1');
      await standsStill(handle);
      expect(sizes(world)).toEqual([2]);
      const pauseSecond = holdWave();
      await handle.signal('resume');
      await pauseSecond(handle);
      await waiting(handle, 'looking at wave 2');
      await handle.signal('abort', 'enough');
    });
    expect(report).toMatchObject({ outcome: 'aborted', rolled: 3, notes: ['aborted: enough'] });
    expect(onIt()).toHaveLength(3);
  });

  it('are asked first where the policy says so, for this very plan', async () => {
    const { run, world } = stage(1, 1);
    const { report } = await run({ policy: { approvals: 'named' } }, async (handle) => {
      const { planDigest } = await waiting(handle, 'approval');
      expect(world.nodes.commands).toEqual([]);
      const approval = { planDigest: '00', gate: 'action', approver: 'somebody', reason: 'tested' };
      await expect(handle.executeUpdate('approve', { args: [approval] })).rejects.toThrow();
      await handle.executeUpdate('approve', { args: [{ ...approval, planDigest }] });
    });
    expect(report).toMatchObject({ outcome: 'rolled out', approvals: [{ approver: 'somebody' }] });
  });

  it('are asked where so many agents are silent already that a wave would be too many', async () => {
    const { run, nodes, world } = stage(4, 1);
    nodes.silent = 1;
    const { report } = await run({ policy: { maxUnavailable: 2, canary: 0 } }, async (handle) => {
      await waiting(handle, '1 agents are silent already, and 2 nodes may be without theirs at once');
      expect(world.nodes.commands).toEqual([]);
      await handle.signal('resume');
    });
    expect(report).toMatchObject({ outcome: 'rolled out', rolled: 5 });
  });
});

describe('is refused', () => {
  it.each([
    ['0.2.0', 'agents are never newer, so the servers go first'],
    ['1.0.0', 'agents are never newer, so the servers go first'],
  ])('agents %s', async (version, what) => {
    const { run, nodes } = stage(1, 1);
    await expect(run({ artifact: { ...artifact, version } })).rejects.toMatchObject({
      cause: { type: 'Blocked', message: expect.stringContaining(what) as string },
    });
    expect(nodes.commands).toEqual([]);
  });

  it('agents more than one minor version older, unless the policy says to ignore that', async () => {
    const { run, nodes } = stage(1, 1);
    nodes.serverVersion = '1.15.3-espalier-0.3.0';
    await expect(run({})).rejects.toMatchObject({
      cause: { message: expect.stringContaining('at most one minor version older') as string },
    });
    const { report } = await run({ policy: { versionSkew: 'ignore' } });
    expect(report).toMatchObject({
      outcome: 'rolled out',
      findings: [{ severity: 'warning' }, { severity: 'warning' }],
    });
  });

  it('another workflow id, which is the lock', async () => {
    const { start, world, nodes } = stage(1, 1);
    await temporal.withWorkers(world, async () => {
      const handle = await start({}, 'mine');
      await expect(handle.result()).rejects.toMatchObject({
        cause: {
          cause: { type: 'InvalidRequest', message: expect.stringContaining('must have the workflow id') as string },
        },
      });
    });
    expect(nodes.commands).toEqual([]);
  });

  it('with every fault at once', async () => {
    const check = {
      planOf: () => createFakeWorld().control().planTrustDomain({ spec }),
      version: '0.1.0',
      workflowId: 'rollOutAgents/example.org',
    };
    const faulty = {
      spec,
      artifact: { url: 'ftp://x', sha256: 'short', version: 'new' },
      policy: { canary: -1, maxUnavailable: '0%', soak: 'soon', deadline: '5m', onFailure: 'hope' },
      more: 1,
    };
    const message = await checkRollOut(faulty, check).catch((cause: unknown) => (cause as Error).message);
    for (const place of [
      'artifact.url',
      'artifact.sha256',
      'artifact.version',
      'policy.canary',
      'policy.maxUnavailable',
      'policy.soak',
      'policy.onFailure',
    ])
      expect(message).toContain(place);
    await expect(checkRollOut({ spec, segments: ['mars'] }, check)).rejects.toThrow(
      'segments: no segment has the name "mars"; there are gcp, aws',
    );
    await expect(checkRollOut({ spec, policy: { approvals: 'signed' } }, check)).rejects.toThrow('policy.approvers');
  });
});

describe('waves', () => {
  const policy = { canary: 1, maxUnavailable: '10%' } as never;
  it.each([
    [[2000], 2000, [1, ...Array.from({ length: 9 }, () => 200), 199]],
    [[3], 3, [1, 1, 1]],
    [[0], 5, []],
  ])('of %j left among %i', (left, total, waves) => {
    expect(plannedWaves(policy, left, total)).toEqual(waves);
  });

  it.each([
    [5, [10, 10], [3, 2]],
    [5, [1, 100], [1, 4]],
    [5, [2, 1], [2, 1]],
    [1, [0, 3], [0, 1]],
  ])('of %i are shared out over %j', (size, left, shares) => {
    expect(shareOut(size, left)).toEqual(shares);
  });
});

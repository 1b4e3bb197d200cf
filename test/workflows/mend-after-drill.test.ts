// What a drill that was terminated leaves, on a real Temporal server and a fake world: each kind of failure is mended by the workflow that was started before
// it, and a drill that ended by itself is left alone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import type { MendAfterDrillReport } from '../../workflows/mend-after-drill.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import { drillPolicy, stand } from '../support/drill-stories.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let runs = 0;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(() => temporal.close());

function stage() {
  runs += 1;
  const trustDomain = `mend-${runs}.example.org`;
  const world = createFakeWorld(trustDomain);
  stand(world, trustDomain);
  const { workflow } = temporal.environment.client;
  const start = (drill: string, policy: object) =>
    workflow.start('drill', {
      args: [{ spec: { ...spec, trustDomain }, drill, policy: { ...drillPolicy, ...policy } }],
      taskQueue: 'control',
      workflowId: `drill/${trustDomain}/${drill}`,
    });
  const lock = workflow.getHandle(`trustChange/${trustDomain}`);
  /** Of the drill's first round. */
  const mending = async (): Promise<WorkflowHandle> =>
    workflow.getHandle(`mendAfterDrill/${trustDomain}/${(await lock.describe()).runId}/0`);
  return { world, start, lock, mending };
}

const soon = { interval: 20 };

describe('a drill that is terminated', () => {
  it.each(['downstreamServerDown', 'agentPartition', 'crossPlatformTrust', 'datastoreDown'])(
    'is mended within seconds, whoever else is terminated with it: %s',
    async (drill) => {
      const { world, start, lock } = stage();
      await temporal.withWorkers(world, async () => {
        const handle = await start(drill, { hold: '10m' });
        await expect.poll(() => world.drills.broken.size, soon).toBeGreaterThan(0);
        await Promise.all([handle.terminate('enough'), lock.terminate('enough')]);
        await expect.poll(() => [...world.drills.broken], soon).toEqual([]);
      });
    },
  );

  it('has its entries put back', async () => {
    const { world, start, lock } = stage();
    world.refusing = 'control restoreEntries';
    await temporal.withWorkers(world, async () => {
      await start('entryDeletion', { hold: '10m' });
      await expect.poll(() => world.drills.entries, soon).toHaveLength(1);
      await lock.terminate();
      await expect.poll(() => world.drills.entries.at(-1), soon).toMatch(/^put back entry of .*workload-a$/);
    });
  });

  it('has what it was just breaking mended by who breaks it', async () => {
    const { world, start, lock, mending } = stage();
    let letGo = (): void => undefined;
    world.blocked = { call: 'control ensureFault', until: new Promise((resolve) => (letGo = resolve)) };
    await temporal.withWorkers(world, async () => {
      await start('upstreamUnreachable', { hold: '10m' });
      await expect.poll(() => world.calls, soon).toContain('control ensureFault');
      const mended = await mending();
      await lock.terminate();
      expect(await mended.result()).toEqual({ drill: 'TERMINATED', mended: ['kill spire-server of upstream-0'] });
      letGo();
      await expect
        .poll(() => world.drills.log, soon)
        .toEqual(['break', 'mend'].map((what) => `${what} program i-upstream-0`));
      expect(world.drills.broken.size).toBe(0);
    });
  });

  it('has its agents let in again', async () => {
    const { world, start, lock, mending } = stage();
    world.drills.svidMs = 2_000;
    await temporal.withWorkers(world, async () => {
      await start('svidExpiry', {});
      await expect.poll(() => world.expired.size, soon).toBeGreaterThan(0);
      const mended = await mending();
      await lock.terminate();
      const report = (await mended.result()) as MendAfterDrillReport;
      expect(report).toEqual({ drill: 'TERMINATED', mended: ['kill spire-server of gcp-server-0'] });
      expect([...world.drills.broken, ...world.expired]).toEqual([]);
    });
  });

  it('fails by the name of what cannot be mended', async () => {
    const { world, start, lock, mending } = stage();
    world.failing = { call: 'control removeFault', type: 'PermissionDenied' };
    await temporal.withWorkers(world, async () => {
      await start('upstreamUnreachable', { hold: '10m' });
      await expect.poll(() => world.drills.broken.size, soon).toBeGreaterThan(0);
      const mended = await mending();
      await lock.terminate();
      await expect(mended.result()).rejects.toMatchObject({
        cause: {
          type: 'RollbackIncomplete',
          message: expect.stringContaining('kill spire-server of upstream-0') as string,
        },
      });
    });
  });
});

describe('a drill that ends by itself', () => {
  it('is mended by itself alone', async () => {
    const { world, start, mending } = stage();
    await temporal.withWorkers(world, async () => {
      await (await start('downstreamServerDown', {})).result();
      expect(await (await mending()).result()).toEqual({ drill: 'COMPLETED', mended: [] });
    });
    expect(world.calls.filter((call) => call === 'control removeFault')).toHaveLength(1);
  });

  it('does so too where it is cancelled', async () => {
    const { world, start, mending } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('downstreamServerDown', { hold: '10m' });
      await expect.poll(() => world.drills.broken.size, soon).toBeGreaterThan(0);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      expect(await (await mending()).result()).toEqual({ drill: 'CANCELLED', mended: [] });
    });
    expect(world.drills.broken.size).toBe(0);
  });

  it('is waited for although somebody cancels its mending', async () => {
    const { world, start, lock, mending } = stage();
    await temporal.withWorkers(world, async () => {
      await start('upstreamUnreachable', { hold: '10m' });
      await expect.poll(() => world.drills.broken.size, soon).toBeGreaterThan(0);
      await (await mending()).cancel();
      await lock.terminate();
      await expect.poll(() => world.drills.broken.size, soon).toBe(0);
    });
  });
});

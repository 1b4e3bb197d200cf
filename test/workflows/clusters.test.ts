// A trust domain with a cluster of Kubernetes on a real Temporal server and a fake world: grown beside the segments, undone with them, torn down, and
// left alone by an update of something else.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { RemovalReport } from '../../workflows/remove-trust-domain.ts';
import type { KeptUpdateReport } from '../../workflows/update/report.ts';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { clusterCalls, clusteredSpec, spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { failureOf } from '../support/workflow-failure.ts';

let temporal: TestTemporal;
let runs = 0;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(() => temporal.close());

const clustered = clusteredSpec();

function ownSpec() {
  runs += 1;
  return { ...spec, ...clustered, trustDomain: `clusters-${runs}.example.org` };
}

function start(type: string, trustDomain: string, input: object): Promise<WorkflowHandle> {
  const options = { args: [input], taskQueue: 'control', workflowId: `${type}/${trustDomain}` };
  return temporal.environment.client.workflow.start(type, options);
}

/** Grows it, and goes on in the same world. */
async function grown<T>(act: (world: FakeWorld, input: ReturnType<typeof ownSpec>) => Promise<T>): Promise<T> {
  const input = ownSpec();
  const world = createFakeWorld(input.trustDomain);
  return temporal.withWorkers(world, async () => {
    await (await start('bootstrapTrustDomain', input.trustDomain, input)).result();
    return act(world, input);
  });
}

const inCluster = (world: FakeWorld): string[] => [...world.things].filter((thing) => thing.startsWith('cluster '));

describe('a cluster', () => {
  it('grows beside the segments, and is reported with its servers and agents', async () => {
    const input = ownSpec();
    const world = createFakeWorld(input.trustDomain);
    const { report, progress } = await temporal.withWorkers(
      world,
      async () => {
        const handle = await start('bootstrapTrustDomain', input.trustDomain, input);
        return {
          report: (await handle.result()) as TrustDomainReport,
          progress: await handle.query<Progress>('progress'),
        };
      },
      { replayAlways: true },
    );
    expect(report.clusters?.map(({ name, servers, agents }) => [name, servers.map((s) => s.address), agents])).toEqual([
      [
        'shop',
        ['spire-server-0.shop.internal:8081', 'spire-server-1.shop.internal:8081'],
        ['a', 'b'].map((node) => ({
          name: `node-${node}`,
          agentId: `spiffe://${input.trustDomain}/spire/agent/k8s_psat/shop/uid-${node}`,
        })),
      ],
    ]);
    expect(progress.phases.slice(-4).map(({ name, state }) => `${name} ${state}`)).toEqual([
      'downstream shop done',
      'agents shop done',
      'entries shop done',
      'validation done',
    ]);
    expect([...world.made.values()].every((count) => count === 1)).toBe(true);
    expect(inCluster(world)).toEqual([
      'cluster shop Secret spire-server-nodes',
      'cluster shop StatefulSet spire-server',
      'cluster shop DaemonSet spire-agent',
    ]);
  });

  it('is known to the upstream before that is made, and every server has an entry below its own pod', async () => {
    await grown((world, { trustDomain }) => {
      const { calls } = world;
      expect(calls.indexOf('kubernetes ensureClusterServerNodes')).toBeLessThan(
        calls.indexOf('gcp ensureServerInstance'),
      );
      expect(calls.indexOf('kubernetes ensureClusterServer')).toBeGreaterThan(
        calls.indexOf('control ensureWorkerIdentity'),
      );
      expect(calls.indexOf('kubernetes ensureClusterAgents')).toBeGreaterThan(
        calls.indexOf('kubernetes waitForClusterServer'),
      );
      const prefix = `spiffe://${trustDomain}`;
      const entries = [...world.entries.values()].filter(({ spiffeId }) => spiffeId.includes('onprem'));
      expect(entries.map(({ spiffeId, parentId }) => `${spiffeId} < ${parentId}`).toSorted()).toEqual([
        `${prefix}/prod/onprem/demo/till < ${prefix}/prod/onprem/platform/spire-nodes-shop`,
        `${prefix}/prod/onprem/platform/spire-nodes-shop < ${prefix}/spire/server`,
        `${prefix}/prod/onprem/platform/spire-server-shop < ${prefix}/spire/agent/x509pop/shop-spire-server-0`,
        `${prefix}/prod/onprem/platform/spire-server-shop < ${prefix}/spire/agent/x509pop/shop-spire-server-1`,
      ]);
      return Promise.resolve();
    });
  });

  it.each(clusterCalls.flatMap((call) => [['after', call] as const, ['before', call] as const]))(
    'is undone with everything else when, %s it acted, fails %s',
    async (moment, call) => {
      const input = ownSpec();
      const world = createFakeWorld(input.trustDomain);
      if (moment === 'after') world.failing = { call, type: 'InvalidRequest' };
      else world.refusing = call;
      const failure = await temporal.withWorkers(world, async () =>
        failureOf((await start('bootstrapTrustDomain', input.trustDomain, input)).result()),
      );
      expect(failure.message).toBe(moment === 'after' ? `${call} was made to fail` : `${call} is refused`);
      expect([...world.things]).toEqual([]);
    },
  );

  it('that holds something of another run is neither taken over nor cleared', async () => {
    const input = ownSpec();
    const world = createFakeWorld(input.trustDomain);
    world.put('cluster shop StatefulSet spire-server');
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('bootstrapTrustDomain', input.trustDomain, input)).result()),
    );
    expect([failure.type, failure.message]).toEqual([
      'Conflict',
      `trust domain ${input.trustDomain} exists already: cluster shop StatefulSet spire-server; run tearDownTrustDomain first`,
    ]);
    expect([...world.things]).toEqual(['cluster shop StatefulSet spire-server']);
  });

  it('goes with the tear-down, before the servers above it', async () => {
    await grown(async (world, input) => {
      const before = world.calls.length;
      const handle = await start('tearDownTrustDomain', input.trustDomain, input);
      const { left } = (await handle.result()) as RemovalReport;
      expect([left, [...world.things]]).toEqual([[], []]);
      const after = world.calls.slice(before);
      expect(after.indexOf('kubernetes removeCluster')).toBeLessThan(after.indexOf('gcp removeDatastore'));
    });
  });

  it('that cannot be cleared is what a person must clean up', async () => {
    await grown(async (world, input) => {
      world.refusing = 'kubernetes removeCluster';
      const handle = await start('tearDownTrustDomain', input.trustDomain, input);
      const { left } = (await handle.result()) as RemovalReport;
      expect(left[0]).toEqual({ name: 'cluster shop', reason: 'kubernetes removeCluster is refused' });
      expect(left.slice(1).map(({ name }) => name)).toEqual(inCluster(world));
    });
  });
});

describe('updateTrustDomain', () => {
  const [gcp, aws] = spec.segments;
  const update = async (input: { trustDomain: string }) => {
    const request = { spec: input, policy: { approvals: 'none' } };
    const handle = await start('updateTrustDomain', input.trustDomain, request);
    return handle;
  };

  it('finds nothing to do where a cluster is as it is wanted', async () => {
    await grown(async (_, input) => {
      expect(((await (await update(input)).result()) as KeptUpdateReport).outcome).toBe('nothing differs');
    });
  });

  it('changes a segment beside a cluster', async () => {
    await grown(async (_, input) => {
      const changed = { ...input, segments: [{ ...gcp, nodes: 3 }, aws] };
      expect(((await (await update(changed)).result()) as KeptUpdateReport).outcome).toBe('updated');
    });
  });
});

// bootstrapTrustDomain and tearDownTrustDomain on a real Temporal server and a fake world: every step is failed in turn.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkflowFailedError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { ReadmitReport } from '../../workflows/readmit-agents.ts';
import type { RemovalReport } from '../../workflows/remove-trust-domain.ts';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { failureOf } from '../support/workflow-failure.ts';

let temporal: TestTemporal;
let runs = 0;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(() => temporal.close());

/** Each test has a trust domain of its own: the lock is by its name. */
function ownSpec() {
  runs += 1;
  return { ...spec, trustDomain: `test-${runs}.example.org` };
}

function start(type: string, input: { trustDomain: string }): Promise<WorkflowHandle> {
  return temporal.environment.client.workflow.start(type, {
    args: [input],
    taskQueue: 'control',
    workflowId: `${type}/${input.trustDomain}`,
  });
}

async function bootstrapFailing(world: FakeWorld, call: string): Promise<ApplicationFailure> {
  world.failing = { call, type: 'InvalidRequest' };
  return temporal.withWorkers(world, async () => failureOf((await start('bootstrapTrustDomain', ownSpec())).result()));
}

describe('bootstrapTrustDomain', () => {
  it('grows everything once, and reports servers, agents, workloads, handshakes both ways and refusals', async () => {
    const world = createFakeWorld();
    const input = ownSpec();
    const run = async (): Promise<WorkflowHandle> => {
      const started = await start('bootstrapTrustDomain', input);
      await started.result();
      return started;
    };
    const handle = await temporal.withWorkers(world, run, { replayAlways: true });
    const report = (await handle.result()) as TrustDomainReport;
    expect(report.servers.map(({ name, role }) => `${role} ${name}`)).toEqual([
      'upstream upstream-0',
      'downstream gcp-server-0',
      'downstream aws-server-0',
    ]);
    expect(report.agents.map(({ name }) => name)).toEqual(['gcp-node-0', 'gcp-node-1', 'aws-node-0', 'aws-node-1']);
    const [a, b] = [
      `spiffe://${input.trustDomain}/prod/gcp/demo/workload-a`,
      `spiffe://${input.trustDomain}/prod/aws/demo/workload-b`,
    ];
    expect(report.workloads.map(({ spiffeId, agent }) => [spiffeId, agent])).toEqual([
      [a, 'gcp-node-0'],
      [b, 'aws-node-0'],
    ]);
    expect(report.handshakes.map(({ from, to }) => [from, to])).toEqual([
      [a, b],
      [b, a],
    ]);
    expect(report.refusals.map(({ workload }) => workload)).toEqual([a, b]);
    expect([...world.made.values()].every((count) => count === 1)).toBe(true);
    expect(world.things.size).toBe(19);
  });

  it('shows its phases as a query, as search attributes, and no phase begins before the one it is gated on', async () => {
    const world = createFakeWorld();
    const input = ownSpec();
    const { progress, attributes } = await temporal.withWorkers(world, async () => {
      const handle = await start('bootstrapTrustDomain', input);
      await handle.result();
      const described = await handle.describe();
      return {
        progress: await handle.query<Progress>('progress'),
        attributes: described.typedSearchAttributes.getAll(),
      };
    });
    expect(progress.state).toBe('done');
    expect(progress.phases.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'plan done',
      'infrastructure done',
      'overlay skipped',
      'upstream done',
      ...['gcp', 'aws'].flatMap((segment) =>
        ['downstream', 'agents', 'entries', 'workloads'].map((phase) => `${phase} ${segment} done`),
      ),
      'validation done',
    ]);
    const startOf = (name: string) => progress.phases.find((phase) => phase.name === name)?.startedAt ?? NaN;
    const endOf = (name: string) => progress.phases.find((phase) => phase.name === name)?.endedAt ?? NaN;
    expect(startOf('downstream aws')).toBeGreaterThanOrEqual(endOf('upstream'));
    expect(startOf('agents aws')).toBeGreaterThanOrEqual(endOf('downstream aws'));
    expect(startOf('validation')).toBeGreaterThanOrEqual(endOf('workloads gcp'));
    expect(Object.fromEntries(attributes.map(({ key, value }) => [key.name, value]))).toMatchObject({
      SpiffeTrustDomain: input.trustDomain,
      ProvisionPhase: 'done',
    });
  });

  it('reports every fault of its specification and makes nothing', async () => {
    const world = createFakeWorld();
    const failure = await temporal.withWorkers(world, async () =>
      failureOf(
        (await start('bootstrapTrustDomain', { ...ownSpec(), keyType: 'dsa', segments: [] } as never)).result(),
      ),
    );
    expect(failure.type).toBe('InvalidRequest');
    expect(failure.message).toContain('keyType');
    expect(failure.message).toContain('segments');
    expect(world.things.size).toBe(0);
  });

  const steps = [
    'gcp ensureNetwork',
    'aws ensureNetwork',
    'gcp ensureDatastore',
    'aws ensureDatastore',
    'gcp ensureInstanceIdentity',
    'aws ensureInstanceIdentity',
    'aws ensureFederatedRole',
    'control ensureWorkerKey',
    'gcp ensureServerInstance',
    'gcp waitForInstance',
    'control waitForServer',
    'gcp readBundleDigests',
    'control verifyFirstBundle',
    'control ensureWorkerIdentity',
    'aws ensureServerInstance',
    'control waitForAgent',
    'control ensureEntry',
    'control verifyIntermediate',
    'gcp ensureNodeInstance',
    'aws ensureNodeInstance',
    'control waitForWorkload',
    'control verifyHandshake',
    'control verifyRefusal',
  ];
  it.each(steps)('undoes everything when %s fails after it acted', async (call) => {
    const world = createFakeWorld();
    const failure = await bootstrapFailing(world, call);
    expect(failure.message).toBe(`${call} was made to fail`);
    expect(world.calls).toContain(call);
    expect([...world.things]).toEqual([]);
  });

  it('below a root that is not ours gives the servers its secrets, and undoes that too', async () => {
    const world = createFakeWorld();
    const input = { ...ownSpec(), upstream: { authority: 'disk' } };
    await temporal.withWorkers(world, async () => {
      await (await start('bootstrapTrustDomain', input)).result();
      expect(world.things).toContain('gcp secret upstream-authority');
      // Of each segment's server when it has its CA, and of all three at the end: the upstream's is an intermediate too.
      expect(world.calls.filter((call) => call === 'control verifyIntermediate')).toHaveLength(5);
      expect(world.rights.get('gcp upstream')).toEqual(['secret-upstream-authority', 'secret-upstream']);
      expect(world.rights.get('gcp server-gcp')).toEqual(['secret-gcp']);
      const { left } = (await (await start('tearDownTrustDomain', input)).result()) as RemovalReport;
      expect([left, [...world.things]]).toEqual([[], []]);
      world.failing = { call: 'gcp ensureUpstreamAuthority', type: 'InvalidRequest' };
      const failure = await failureOf((await start('bootstrapTrustDomain', input)).result());
      expect(failure.message).toBe('gcp ensureUpstreamAuthority was made to fail');
      expect([...world.things]).toEqual([]);
    });
  });

  it('says what it could not undo, and undoes the rest', async () => {
    const world = createFakeWorld();
    const failure = await temporal.withWorkers(world, async () => {
      world.failing = { call: 'control verifyRefusal', type: 'TrustViolation' };
      world.refusing = 'aws removeDatastore';
      return failureOf((await start('bootstrapTrustDomain', ownSpec())).result());
    });
    expect(failure.type).toBe('RollbackIncomplete');
    expect(failure.message).toBe(
      'control verifyRefusal was made to fail; could not be undone and needs a person: aws database and secret of aws (aws removeDatastore is refused)',
    );
    expect([...world.things]).toEqual(['aws secret aws']);
  });

  it('takes nothing over and removes nothing where another run made something', async () => {
    const world = createFakeWorld();
    world.put('aws instance aws-node-0');
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('bootstrapTrustDomain', ownSpec())).result()),
    );
    expect(failure.type).toBe('Conflict');
    expect(failure.message).toContain('aws instance aws-node-0');
    expect([...world.things]).toEqual(['aws instance aws-node-0']);
  });

  it('refuses a second change of trust while one runs', async () => {
    const world = createFakeWorld();
    let release = (): void => undefined;
    world.blocked = { call: 'control verifyFirstBundle', until: new Promise<void>((resolve) => (release = resolve)) };
    const input = ownSpec();
    await temporal.withWorkers(world, async () => {
      const bootstrap = await start('bootstrapTrustDomain', input);
      while (!world.calls.includes('control verifyFirstBundle'))
        await new Promise((resolve) => setTimeout(resolve, 20));
      const failure = await failureOf((await start('tearDownTrustDomain', input)).result());
      expect(failure.type).toBe('Conflict');
      expect(failure.message).toContain(`trustChange/${input.trustDomain}`);
      release();
      await bootstrap.result();
    });
  });

  it('undoes what it began when it is cancelled', async () => {
    const world = createFakeWorld();
    let release = (): void => undefined;
    world.blocked = { call: 'control waitForWorkload', until: new Promise<void>((resolve) => (release = resolve)) };
    await temporal.withWorkers(world, async () => {
      const handle = await start('bootstrapTrustDomain', ownSpec());
      while (!world.calls.includes('control waitForWorkload')) await new Promise((resolve) => setTimeout(resolve, 20));
      await handle.cancel();
      release();
      await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    });
    expect([...world.things]).toEqual([]);
  });
});

describe('tearDownTrustDomain', () => {
  async function grown(): Promise<{ world: FakeWorld; input: ReturnType<typeof ownSpec> }> {
    const world = createFakeWorld();
    const input = ownSpec();
    await temporal.withWorkers(world, async () => {
      await (await start('bootstrapTrustDomain', input)).result();
    });
    return { world, input };
  }

  async function tearDown(world: FakeWorld, input: { trustDomain: string }): Promise<RemovalReport> {
    return temporal.withWorkers(
      world,
      async () => (await start('tearDownTrustDomain', input)).result() as Promise<RemovalReport>,
    );
  }

  it('leaves nothing, and is content to run again', async () => {
    const { world, input } = await grown();
    expect(await tearDown(world, input)).toEqual({ trustDomain: input.trustDomain, left: [] });
    expect([...world.things]).toEqual([]);
    expect(await tearDown(world, input)).toEqual({ trustDomain: input.trustDomain, left: [] });
  });

  it('removes nodes before servers and the upstream last', async () => {
    const { world, input } = await grown();
    const before = world.calls.length;
    await tearDown(world, input);
    const calls = world.calls.slice(before).filter((call) => call.includes('remove'));
    expect(calls.lastIndexOf('aws removeInstance')).toBeLessThan(calls.indexOf('aws removeDatastore'));
    expect(calls.lastIndexOf('gcp removeInstance')).toBeLessThan(calls.indexOf('gcp removeNetwork'));
  });

  it('goes on when a step fails, and ends with what a person must clean up', async () => {
    const { world, input } = await grown();
    world.refusing = 'aws removeNetwork';
    world.put('aws identity forgotten');
    const report = await tearDown(world, input);
    expect(report.left).toEqual([
      { name: 'aws network rules in us-east-1', reason: 'aws removeNetwork is refused' },
      { name: 'aws network us-east-1', reason: 'still listed after the tear-down' },
      { name: 'aws identity forgotten', reason: 'still listed after the tear-down' },
    ]);
    expect([...world.things]).toEqual(['aws network us-east-1', 'aws identity forgotten']);
  });
});

describe('readmitAgents', () => {
  it('evicts expired agents of both tiers, hosts before nodes, and no others', async () => {
    const world = createFakeWorld();
    const input = ownSpec();
    const [host, node] = ['aws-server-0', 'gcp-node-1'].map((name) => {
      const cloud = name.slice(0, 3);
      return `spiffe://${input.trustDomain}/spire/agent/${cloud}/${name}`;
    }) as [string, string];
    const report = await temporal.withWorkers(world, async () => {
      await (await start('bootstrapTrustDomain', input)).result();
      world.expired.add(host).add(node);
      return (await start('readmitAgents', input)).result() as Promise<ReadmitReport>;
    });
    expect(report).toEqual({ trustDomain: input.trustDomain, readmitted: [node, host] });
    expect(world.expired.size).toBe(0);
  });
});

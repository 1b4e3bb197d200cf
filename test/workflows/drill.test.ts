// Drills on a real Temporal server and a fake world: what each breaks, expects, mends and reports, and that whatever ends one mends what it broke.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkflowFailedError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { KeptDrillReport } from '../../workflows/drills/report.ts';
import type { Progress } from '../../workflows/lib/progress.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { drillPolicy, drillStories, stand } from '../support/drill-stories.ts';
import { spec as usual } from '../support/specs.ts';
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
  const trustDomain = `drill-${runs}.example.org`;
  const world = createFakeWorld(trustDomain);
  stand(world, trustDomain);
  const spec = { ...usual, trustDomain };
  const { workflow } = temporal.environment.client;
  const start = (drill: string, { policy, ...more }: { policy?: object; [key: string]: unknown } = {}) =>
    workflow.start('drill', {
      args: [{ spec, drill, requester: 'somebody', reason: 'a test', ...more, policy: { ...drillPolicy, ...policy } }],
      taskQueue: 'control',
      workflowId: `drill/${trustDomain}/${drill}`,
    });
  const run = (drill: string, more: Parameters<typeof start>[1] = {}): Promise<KeptDrillReport> =>
    temporal.withWorkers(world, async () => (await (await start(drill, more)).result()) as KeptDrillReport);
  const lock = workflow.getHandle(`trustChange/${trustDomain}`);
  return { trustDomain, world, spec, start, run, lock };
}

/** What a drill that does not come to its report failed with. */
async function failureOf(handle: WorkflowHandle): Promise<ApplicationFailure> {
  const error: unknown = await handle.result().catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  let current: unknown = error;
  while (current instanceof Error && !(current instanceof ApplicationFailure)) current = current.cause;
  return current as ApplicationFailure;
}

const fails = (world: FakeWorld, begin: () => Promise<WorkflowHandle>): Promise<ApplicationFailure> =>
  temporal.withWorkers(world, async () => failureOf(await begin()));

const broken = (world: FakeWorld): Promise<void> =>
  expect.poll(() => world.drills.broken.size, { interval: 20 }).toBeGreaterThan(0);

describe.each(drillStories)('$drill', ({ drill, subject, prepare, rounds }) => {
  it('passes where the alert comes, the runbook begins, what must goes on, and all comes back', async () => {
    const { world, trustDomain, run } = stage();
    prepare?.(world);
    const report = await run(drill, { subject: subject?.(trustDomain) ?? '' });
    expect(report).toMatchObject({ drill, verdict: 'passed', reasons: [], trustDomain });
    expect(report.rounds).toHaveLength(rounds);
    for (const round of report.rounds) {
      expect(round).toMatchObject({ detected: { by: 'fleet' }, runbook: { outcome: 'recovered' } });
      expect(round.expectations.every(({ met }) => met)).toBe(true);
      expect(round.recoveredAfterSeconds).toBeGreaterThanOrEqual(0);
    }
    expect([...world.drills.broken, ...world.troubles.down, ...world.expired]).toEqual([]);
    expect(world.fleet.reports).toContainEqual(expect.objectContaining({ drill, verdict: 'passed' }));
  });

  it('says what it would do, and does nothing, in a dry run', async () => {
    const { world, trustDomain, run } = stage();
    const report = await run(drill, { subject: subject?.(trustDomain) ?? '', dryRun: true });
    expect(report).toMatchObject({ verdict: 'dry run', reasons: [], rounds: [] });
    expect(report.steps.filter((step) => step.startsWith('failure: '))).toHaveLength(rounds);
    expect(world.calls.filter((call) => /Fault$|Entries$|Datastore/.test(call))).toEqual([]);
  });
});

describe('what must go on', () => {
  it.each([
    ['mtls', 'did not go on: workloads of different clouds meet over mTLS, both ways after'],
    ['refusing', 'did not go on: an identity that no workload admits is refused after'],
    ['gcp', 'did not go on: tier gcp issues X.509-SVIDs and JWT-SVIDs after'],
    ['upstream', 'did not go on: tier upstream issues X.509-SVIDs and JWT-SVIDs after'],
  ])('fails the drill by its name where it does not, and is mended at once: %s', async (what, reason) => {
    const { world, run } = stage();
    world.drills.suffers.add(what);
    const report = await run('downstreamServerDown', { subject: 'aws-server-0', policy: { hold: '15m' } });
    expect(report.verdict).toBe('failed');
    expect(report.reasons).toEqual([expect.stringContaining(reason)]);
    expect(report.rounds[0]?.mendedAfterSeconds).toBeLessThan(15 * 60);
    expect(world.drills.broken.size).toBe(0);
  });

  it('fails the drill where it must stop and does not', async () => {
    const { world, run } = stage();
    world.drills.survives.add('issuing');
    const { reasons } = await run('downstreamServerDown', { subject: 'aws-server-0' });
    expect(reasons).toEqual([expect.stringMatching(/^did not stop: tier aws issues after .* it still worked$/)]);
  });

  it('is issuance of the pool itself, where the pool has another server', async () => {
    const { world, run, spec } = stage();
    world.put('aws instance aws-server-1');
    const segments = spec.segments.map((one) => (one.name === 'aws' ? { ...one, servers: 2 } : one));
    const { rounds, verdict } = await run('downstreamServerDown', { subject: 'aws-server-1', spec: { ...spec, segments } }); // prettier-ignore
    expect(verdict).toBe('passed');
    expect(rounds[0]?.expectations.filter(({ kind }) => kind === 'stops')).toEqual([]);
    expect(rounds[0]?.expectations.map(({ what }) => what)).toContain('tier aws issues X.509-SVIDs and JWT-SVIDs');
  });

  it('does not include an SVID that has ended: where one is taken, the drill fails', async () => {
    const { world, run } = stage();
    world.drills.svidMs = 3_000;
    world.drills.survives.add('expired');
    const { reasons } = await run('svidExpiry', { subject: 'aws' });
    expect(reasons).toContainEqual(expect.stringMatching(/^did not stop: SVIDs of .*workload-b are taken after they have ended/)); // prettier-ignore
  });

  it('is judged of a CA\u2019s end by what its server said last: one that is silent for a moment has not ended', async () => {
    const { world, start } = stage();
    [world.drills.svidMs, world.drills.caMs] = [4_000, 6_000];
    const looks = () => world.calls.filter((call) => call === 'control lookAtDrill').length;
    const report = await temporal.withWorkers(world, async () => {
      const handle = await start('intermediateExpiry', { subject: 'aws' });
      await broken(world);
      world.troubles.down.add('aws-server-0');
      const seen = looks();
      await expect.poll(looks, { interval: 20 }).toBeGreaterThan(seen + 1);
      world.troubles.down.delete('aws-server-0');
      return (await handle.result()) as KeptDrillReport;
    });
    expect(report).toMatchObject({ verdict: 'passed', reasons: [] });
    expect(report.rounds[0]?.detected?.afterSeconds).toBeGreaterThanOrEqual(6);
  });

  it('ends the drill in the round where it fails: a domain that is not as it was is not broken further', async () => {
    const { world, run } = stage();
    world.drills.suffers.add('mtls');
    expect((await run('crossPlatformTrust')).rounds).toHaveLength(1);
  });
});

describe('the alert and the runbook', () => {
  it('are Prometheus\u2019 to tell where one is named', async () => {
    const { world, run } = stage();
    world.drills.alert = 'pending';
    const asked = { subject: 'aws-server-0', prometheus: 'http://127.0.0.1:9090' };
    const { rounds, verdict } = await run('downstreamServerDown', asked);
    expect(verdict).toBe('passed');
    expect(rounds[0]?.detected).toMatchObject({ by: 'Prometheus', what: 'SpireServerDown is pending' });
  });

  it('fail the drill where they do not come in time', async () => {
    const { world, run } = stage();
    const { reasons } = await run('downstreamServerDown', { prometheus: 'http://127.0.0.1:9090' });
    expect(reasons).toEqual([expect.stringMatching(/^alert SpireServerDown did not come within [\d.]+ s$/)]);
    expect(world.drills.broken.size).toBe(0);
  });

  it('are looked for where the alert receiver starts the runbook', async () => {
    const { world, start } = stage();
    const workflowId = 'downstreamServerDown/x/SpireServerDown-00';
    const found = await temporal.withWorkers(world, async () => {
      const handle = await start('downstreamServerDown', { policy: { startRunbook: false } });
      await broken(world);
      world.drills.runbook = { workflowId, startedAt: new Date().toISOString(), outcome: 'recovered' };
      return (await handle.result()) as KeptDrillReport;
    });
    expect(found.verdict).toBe('passed');
    expect(found.rounds[0]?.runbook?.workflowId).toBe(workflowId);
    const nothing = stage();
    const { reasons } = await nothing.run('downstreamServerDown', { policy: { startRunbook: false } });
    expect(reasons).toEqual(['runbook downstreamServerDown did not begin']);
  });
});

describe('the recovery', () => {
  it('fails the drill where something stays broken', async () => {
    const { world, start } = stage();
    const report = await temporal.withWorkers(world, async () => {
      const handle = await start('downstreamServerDown', { policy: { recovery: '1s' } });
      await broken(world);
      world.drills.lasts.add('refusing');
      return (await handle.result()) as KeptDrillReport;
    });
    expect(report.reasons).toContain('not everything was whole again within the policy\u2019s recovery');
    expect(report.rounds[0]?.recoveredAfterSeconds).toBeUndefined();
  });

  it('of entries is the runbook\u2019s from its snapshot, and the drill\u2019s where that does not do it', async () => {
    const { world, run } = stage();
    const restored = await run('entryDeletion');
    expect(restored.verdict).toBe('passed');
    expect(world.drills.entries).toEqual([expect.stringMatching(/^delete entry of .*workload-a$/)]);
    const other = stage();
    other.world.refusing = 'control restoreEntries';
    const report = await other.run('entryDeletion', { policy: { hold: '2s', recovery: '2s' } });
    expect(report.reasons).toEqual([
      expect.stringContaining('runbook registrationEntryDrop ended with: needs a person'),
    ]);
    expect(other.world.drills.entries).toEqual([
      expect.stringMatching(/^delete entry of/),
      expect.stringMatching(/^put back entry of/),
    ]);
  });

  it('of entries fails the drill where an agent does not lose what was deleted', async () => {
    const { world, run } = stage();
    world.drills.losesAfterMs = undefined;
    const { reasons } = await run('entryDeletion', { policy: { lostWithin: '7s' } });
    expect(reasons[0]).toMatch(/^did not stop: agent .* serves .*workload-a, by its own report later than 7s after/);
  });

  it('of entries is not asked of an agent that does not say what it serves', async () => {
    const { world, start } = stage();
    world.troubles.look = { serves: 0 };
    const failure = await fails(world, () => start('entryDeletion'));
    expect(failure).toMatchObject({ type: 'Blocked', message: expect.stringContaining('does not say that it serves') as string }); // prettier-ignore
    expect(world.drills.entries).toEqual([]);
  });
});

describe('a drill is refused', () => {
  const deep = (what: object) => ({ policy: what });
  it.each<[string, string, Record<string, unknown>]>([
    ['"cloud"', 'downstreamServerDown', { spec: { ...usual, infrastructure: 'cloud' } }],
    [
      'knows no "aws-server-7": there are gcp-server-0, aws-server-0',
      'downstreamServerDown',
      { subject: 'aws-server-7' },
    ],
    ['Invalid option', 'earthquake', {}],
    [
      'policy.hold: with ttl.x509Svid 1h at most 15m0s, or agents are locked out',
      'downstreamServerDown',
      deep({ hold: '16m' }),
    ],
    [
      'policy.hold: with ttl.x509Svid 1h at most 27m0s, or agents are locked out',
      'agentPartition',
      deep({ hold: '28m' }),
    ],
    ['policy.lostWithin: at most 30s: "31s"', 'entryDeletion', deep({ lostWithin: '31s' })],
    ['svidExpiry keeps the failure up until what was issued has ended, up to 1h: "15m"', 'svidExpiry', {}],
    [
      'workloads of two clouds that meet',
      'crossPlatformTrust',
      { spec: { ...usual, workloads: usual.workloads.slice(0, 1) } },
    ],
    ['prometheus', 'downstreamServerDown', { prometheus: 'file:///etc/passwd' }],
  ])('with %s', async (message, drill, more) => {
    const { world, start } = stage();
    const policy = drill === 'svidExpiry' ? { mostHold: '15m' } : (more['policy'] as object | undefined);
    const failure = await fails(world, () => start(drill, { ...more, ...(policy === undefined ? {} : { policy }) }));
    expect(failure.type).toBe('InvalidRequest');
    expect(failure.message).toContain(message);
    expect(world.calls).not.toContain('control ensureFault');
  });

  it('where not all is whole, by the name of what is not', async () => {
    const { world, start } = stage();
    world.troubles.down.add('gcp-server-0');
    const failure = await fails(world, () => start('downstreamServerDown', { subject: 'aws-server-0' }));
    expect(failure.type).toBe('Blocked');
    expect(failure.message).toContain('server gcp-server-0 of tier gcp does not answer');
    expect(world.drills.broken.size).toBe(0);
  });

  it('where the lab is broken already, or cannot break such a thing', async () => {
    const { world, start } = stage();
    world.drills.broken.add('link a b');
    expect((await fails(world, () => start('crossPlatformTrust'))).message).toContain('link a b is broken');
    const other = stage();
    other.world.drills.cutsLinks = false;
    const failure = await fails(other.world, () => other.start('agentPartition', { subject: 'aws-node-0' }));
    expect([failure.type, failure.message]).toEqual(['Unsupported', expect.stringContaining('no network namespaces')]);
  });

  it('while a change of trust holds the lock, and holds it itself while it runs', async () => {
    const { world, start, trustDomain } = stage();
    let letGo = (): void => undefined;
    world.blocked = { call: 'control lookAtDrill', until: new Promise((resolve) => (letGo = resolve)) };
    await temporal.withWorkers(world, async () => {
      const holder = await start('upstreamUnreachable');
      await expect.poll(() => world.calls).toContain('control lookAtDrill');
      const failure = await failureOf(await start('downstreamServerDown')).finally(letGo);
      expect([failure.type, failure.message]).toEqual([
        'Conflict',
        expect.stringContaining(`trustChange/${trustDomain}`),
      ]);
      expect(((await holder.result()) as KeptDrillReport).verdict).toBe('passed');
    });
  });
});

describe('whatever ends it', () => {
  it('mends what was broken: an abort', async () => {
    const { world, start, lock } = stage();
    const failure = await temporal.withWorkers(world, async () => {
      const handle = await start('downstreamServerDown', { policy: { hold: '15m' } });
      await broken(world);
      await lock.signal('pause');
      await expect
        .poll(async () => (await lock.query<Progress>('progress')).change?.notes)
        .toContain('a drill does not pause: abort mends what is broken and ends it');
      await lock.signal('abort', 'enough');
      return failureOf(handle);
    });
    expect([failure.type, failure.message]).toEqual(['Aborted', 'aborted: enough']);
    expect(world.drills.broken.size).toBe(0);
    expect(world.calls.filter((call) => call === 'control removeFault')).toHaveLength(1);
  });

  it('mends what was broken: a cancellation', async () => {
    const { world, start } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('upstreamUnreachable', { policy: { hold: '15m' } });
      await broken(world);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
    });
    expect(world.drills.broken.size).toBe(0);
  });

  it('mends what was broken: a break that fails although it has its effect', async () => {
    const { world, start } = stage();
    world.failing = { call: 'control ensureFault', type: 'Conflict' };
    const failure = await fails(world, () => start('downstreamServerDown'));
    expect(failure.message).toContain('ensureFault was made to fail');
    expect(world.drills.broken.size).toBe(0);
  });

  it('says what could not be mended', async () => {
    const { world, start } = stage();
    world.failing = { call: 'control removeFault', type: 'PermissionDenied' };
    const failure = await fails(world, () => start('downstreamServerDown', { subject: 'aws-server-0' }));
    expect(failure.type).toBe('RollbackIncomplete');
    expect(failure.message).toContain(
      'mending: kill spire-server of aws-server-0 (control removeFault was made to fail)',
    );
  });

  it.each(drillStories)('goes on where a worker forgot everything after each step: $drill', async (story) => {
    const { drill, subject, prepare } = story;
    const { world, trustDomain, start } = stage();
    prepare?.(world);
    const act = async () => (await (await start(drill, { subject: subject?.(trustDomain) ?? '' })).result()) as KeptDrillReport; // prettier-ignore
    const report = await temporal.withWorkers(world, act, { replayAlways: true });
    expect(report).toMatchObject({ verdict: 'passed', reasons: [] });
    expect(world.drills.broken.size).toBe(0);
  });
});

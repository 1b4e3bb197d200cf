// A living trust domain changed into what a new specification says, on a real Temporal server and a fake world: what is left is what a bootstrap of that
// specification would have made.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { KeptUpdateReport } from '../../workflows/update/report.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { bootstrapped } from '../support/bootstrapped-world.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { failureOf } from '../support/workflow-failure.ts';

interface Segment {
  readonly name: string;
  readonly cloud: 'gcp' | 'aws';
  readonly region: string;
  readonly servers: number;
  readonly nodes: number;
  readonly attestor: string;
  readonly intermediateTtl?: string;
}

interface Workload {
  readonly segment: string;
  readonly name: string;
  readonly selectors: readonly string[];
}

interface Spec {
  readonly trustDomain: string;
  readonly segments: readonly Segment[];
  readonly workloads: readonly Workload[];
}

let temporal: TestTemporal;
let runs = 0;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(() => temporal.close());

const ownSpec = (): Spec => {
  runs += 1;
  return { ...spec, trustDomain: `living-${runs}.example.org` };
};

function start(type: string, trustDomain: string, input: object): Promise<WorkflowHandle> {
  return temporal.environment.client.workflow.start(type, {
    args: [input],
    taskQueue: 'control',
    workflowId: `${type}/${trustDomain}`,
  });
}

/** What there is, without who made it. */
const stateOf = ({ things, entries, programs }: FakeWorld) => ({
  things: [...things].toSorted(),
  entries: [...entries.values()].map(({ spiffeId, parentId }) => `${spiffeId} below ${parentId}`).toSorted(),
  programs: [...programs].map(([node, names]) => `${node}: ${names.toSorted().join(' ')}`).toSorted(),
});

async function update(
  world: FakeWorld,
  input: Spec,
  more: object = {},
  during: (change: WorkflowHandle) => Promise<void> = async () => undefined,
): Promise<KeptUpdateReport> {
  return temporal.withWorkers(world, async () => {
    const handle = await start('updateTrustDomain', input.trustDomain, { spec: input, ...more });
    await during(temporal.environment.client.workflow.getHandle(`trustChange/${input.trustDomain}`));
    return (await handle.result()) as KeptUpdateReport;
  });
}

async function waitingForApproval(change: WorkflowHandle): Promise<string> {
  for (;;) {
    const progress = await change.query<Progress>('progress').catch(() => undefined); // it may not have begun
    const { waitingFor, planDigest } = progress?.change ?? {};
    if (waitingFor?.startsWith('approval') === true && planDigest !== undefined) return planDigest;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function approve(change: WorkflowHandle): Promise<void> {
  const planDigest = await waitingForApproval(change);
  const approval = { planDigest, gate: 'action', approver: 'somebody', reason: 'wanted' };
  await change.executeUpdate<string, [object]>('approve', { args: [approval] });
}

const [gcp, aws] = spec.segments as readonly [Segment, Segment];
const workload = (segment: string, name: string) => ({
  segment,
  environment: 'prod' as const,
  team: 'demo',
  name,
  selectors: [`unix:path:{image}/opt/demo/${name}`],
});
/** More of everything. */
const larger = (input: Spec): Spec => ({
  ...input,
  segments: [{ ...gcp, servers: 2, nodes: 3 }, aws, { ...aws, name: 'west', region: 'us-west-2', nodes: 1 }],
  workloads: [...input.workloads, workload('gcp', 'workload-c'), workload('west', 'workload-w')],
});
/** Less of everything. */
const smaller = (input: Spec): Spec => ({
  ...input,
  segments: [{ ...gcp, nodes: 1 }],
  workloads: input.workloads.filter(({ segment }) => segment === 'gcp'),
});
const effects = (world: FakeWorld, from: number): string[] =>
  world.calls.slice(from).filter((call) => /ensure|remove|place|delete|write|apply/.test(call));

it('begins with what a bootstrap leaves', async () => {
  const input = ownSpec();
  const world = createFakeWorld(input.trustDomain);
  await temporal.withWorkers(world, async () => {
    const handle = await start('bootstrapTrustDomain', input.trustDomain, input);
    await handle.result();
  });
  expect(stateOf(await bootstrapped(input))).toEqual(stateOf(world));
});

describe('an update', () => {
  it('of an unchanged specification does nothing and says so', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const before = world.calls.length;
    expect(await update(world, input)).toMatchObject({ outcome: 'nothing differs', steps: [], file: '' });
    expect(effects(world, before)).toEqual([]);
  });

  it('that is rehearsed says what it would do, and does nothing', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const before = world.calls.length;
    const report = await update(world, larger(smaller(input)), { dryRun: true });
    expect(report).toMatchObject({ outcome: 'dry run', refusals: [] });
    expect(report.steps).toEqual([
      'grow segment west',
      'add server gcp-server-1 to gcp',
      'add node gcp-node-2 to gcp',
      `register spiffe://${input.trustDomain}/prod/gcp/demo/workload-c in gcp`,
      `take spiffe://${input.trustDomain}/prod/aws/demo/workload-b from aws`,
    ]);
    expect(effects(world, before)).toEqual([]);
  });

  it('that only adds leaves what a bootstrap would have made, and asks nobody', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const report = await update(world, larger(input));
    expect(report).toMatchObject({ outcome: 'updated', approvals: [] });
    expect(stateOf(world)).toEqual(stateOf(await bootstrapped({ ...larger(input), trustDomain: input.trustDomain })));
    expect([...world.made.values()].every((count) => count === 1)).toBe(true);
  });

  it('that takes something away asks first, and then leaves what a bootstrap would have made', async () => {
    const input = ownSpec();
    const world = await bootstrapped(larger(input));
    const before = world.calls.length;
    const report = await update(world, smaller(input), {}, async (change) => {
      await waitingForApproval(change);
      expect(effects(world, before)).toEqual([]);
      await approve(change);
    });
    expect(report).toMatchObject({ outcome: 'updated', approvals: [{ approver: 'somebody' }] });
    // The root's servers still say that they attest nodes of AWS, and keep what they need for that.
    world.things.delete('aws identity attestor');
    expect(stateOf(world)).toEqual(stateOf(await bootstrapped(smaller(input))));
  });

  it('proves what it has added before it takes anything away, identities first', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const before = world.calls.length;
    const other = { ...larger(smaller(input)), workloads: [workload('west', 'workload-w')] };
    await update(world, other, { policy: { approvals: 'none' } });
    const calls = world.calls.slice(before);
    const proof = calls.indexOf('control verifyRefusal');
    expect(proof).toBeGreaterThan(calls.lastIndexOf('aws ensureNodeInstance'));
    expect(calls.indexOf('control deleteEntries')).toBeGreaterThan(proof);
    expect(calls.filter((call) => call.startsWith('aws remove'))).toEqual([]);
    expect(stateOf(world)).toEqual(stateOf(await bootstrapped(other)));
  });

  it('leaves alone what somebody else has registered, and says so', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const alias = [...world.entries.values()].find(({ spiffeId }) => spiffeId.includes('workload-a'))?.parentId ?? '';
    world.entries.set('mine', {
      spiffeId: `spiffe://${input.trustDomain}/mine`,
      parentId: alias,
      selectors: ['unix:uid:7'],
      isOurs: false,
    });
    const report = await update(
      world,
      { ...input, workloads: input.workloads.slice(1) },
      { policy: { approvals: 'none' } },
    );
    expect(report.left).toEqual([`spiffe://${input.trustDomain}/mine below gcp`]);
    expect(world.entries.has('mine')).toBe(true);
    expect([...world.entries.values()].some(({ spiffeId }) => spiffeId.includes('workload-a'))).toBe(false);
  });

  it('changes a workload’s selectors: the new entry first, then the old one goes', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const [first, ...rest] = input.workloads;
    const changed = { ...input, workloads: [{ ...first!, selectors: ['unix:uid:1234'] }, ...rest] };
    const report = await update(world, changed, { policy: { approvals: 'none' } });
    const id = `spiffe://${input.trustDomain}/prod/gcp/demo/workload-a`;
    expect(report.steps).toEqual([`register ${id} in gcp`, `take ${id} from gcp`]);
  });
});

describe('people', () => {
  it('can abort while they are asked: nothing has changed', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const before = stateOf(world);
    const failed = await failureOf(
      update(world, smaller(input), {}, async (change) => {
        await waitingForApproval(change);
        await change.signal('abort', 'not today');
      }),
    );
    expect(failed).toMatchObject({ type: 'Aborted', message: 'aborted: not today' });
    expect(stateOf(world)).toEqual(before);
  });

  it('are told that another change runs', async () => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    await temporal.withWorkers(world, async () => {
      const first = await start('updateTrustDomain', input.trustDomain, { spec: smaller(input) });
      const change = temporal.environment.client.workflow.getHandle(`trustChange/${input.trustDomain}`);
      await waitingForApproval(change);
      const second = await start('updateTrustDomain', `${input.trustDomain}/again`, { spec: larger(input) });
      expect(await failureOf(second.result())).toMatchObject({ type: 'Conflict' });
      await change.signal('abort');
      await failureOf(first.result());
    });
  });
});

describe('is refused by name, and changes nothing', () => {
  it.each<[string, (input: Spec) => object, string]>([
    [
      'a root that moves',
      (input) => ({ ...input, upstream: { cloud: 'aws', region: 'us-east-1' } }),
      'upstream: the root of trust runs in gcp us-central1 and does not move to aws us-east-1',
    ],
    [
      'another number of root servers',
      (input) => ({ ...input, upstream: { servers: 2 } }),
      'upstream.servers: 1 run and 2 are wanted',
    ],
    [
      'a segment that moves',
      (input) => ({ ...input, segments: [{ ...gcp, region: 'europe-west1' }, aws] }),
      'segments.gcp: it runs in gcp us-central1 and does not move to gcp europe-west1',
    ],
    [
      'another key type',
      (input) => ({ ...input, keyType: 'ec-p384' }),
      'keyType, ttl, intermediateTtl: the servers of upstream were made with others',
    ],
    [
      'another life of an intermediate',
      (input) => ({ ...input, segments: [{ ...gcp, intermediateTtl: '11h' }, aws] }),
      'the servers of gcp were made with others',
    ],
  ])('%s', async (_, change, what) => {
    const input = ownSpec();
    const world = await bootstrapped(input);
    const before = stateOf(world);
    const failed = await failureOf(update(world, change(input) as Spec));
    expect(failed).toMatchObject({ type: 'Blocked', message: expect.stringContaining(what) as string });
    expect(stateOf(world)).toEqual(before);
  });

  it('a cloud whose nodes the root was not made to attest', async () => {
    const input: Spec = { ...ownSpec(), segments: [gcp], workloads: [] };
    const world = await bootstrapped(input);
    const failed = await failureOf(update(world, { ...input, segments: [gcp, aws] }));
    expect(failed.message).toContain('the servers of upstream attest no nodes of aws');
  });

  it('a trust domain of which nothing runs', async () => {
    const input = ownSpec();
    const failed = await failureOf(update(createFakeWorld(input.trustDomain), input));
    expect(failed.message).toContain(`nothing of ${input.trustDomain} runs: start bootstrapTrustDomain`);
  });

  it('a request with faults, all at once', async () => {
    const input = ownSpec();
    const world = createFakeWorld(input.trustDomain);
    const failed = await failureOf(update(world, input, { policy: { approvals: 'maybe' }, more: 1 }));
    expect(failed.message).toContain('policy.approvals');
    expect(failed.message).toContain('2 faults');
  });
});

describe('a step that fails', () => {
  it.each([
    'aws ensureDatastore',
    'control waitForAgent',
    'aws ensureNodeInstance',
    'gcp ensureServerInstance',
    'control ensureEntry',
    'control waitForWorkload',
    'control verifyHandshake',
  ])(
    'while it widens, %s after its effect, leaves what was there before',
    async (call) => {
      const input = ownSpec();
      const world = await bootstrapped(input);
      const before = stateOf(world);
      world.failing = { call, type: 'InvalidRequest' };
      const failed = await failureOf(update(world, larger(input)));
      expect(failed.message).toContain('was made to fail');
      const { things, entries } = stateOf(world);
      expect(things).toEqual(before.things);
      // Entries at a segment's own servers go with them; the upstream's lets nobody in whose node is gone.
      expect(entries.filter((entry) => !entry.includes('west') && !entry.includes('gcp-server-1'))).toEqual(
        before.entries,
      );
    },
    60_000,
  );

  it('while it narrows is told, and the rest is taken away all the same', async () => {
    const input = ownSpec();
    const world = await bootstrapped(larger(input));
    const policy = { approvals: 'none' };
    world.refusing = 'aws removeDatastore';
    const failed = await failureOf(update(world, smaller(input), { policy }));
    expect(failed).toMatchObject({ type: 'RollbackIncomplete' });
    expect(failed.message).toContain('but for what could not be taken away: aws database and secret of');
    expect([...world.things].filter((thing) => thing.includes('instance'))).toHaveLength(3);
    expect([...world.things].filter((thing) => / (west|aws)$/.test(thing))).toEqual([
      'aws secret aws',
      'aws secret west',
    ]);
    world.refusing = undefined;
    const again = await update(world, smaller(input), { policy });
    expect(again.steps).toEqual(['take away what is left of segment aws', 'take away what is left of segment west']);
    world.things.delete('aws identity attestor');
    expect(stateOf(world)).toEqual(stateOf(await bootstrapped(smaller(input))));
  }, 60_000);
});

describe('what is taken away', () => {
  it('is proven as far as anybody can be asked, and the rest is said to age out, with the time', async () => {
    const input = ownSpec();
    const world = await bootstrapped(larger(input));
    const startedAt = Date.now();
    const { proofs } = await update(world, smaller(input), { policy: { approvals: 'none' } });
    const hour = 3_600_000;
    expect(proofs.map(({ of }) => of)).toEqual([
      `spiffe://${input.trustDomain}/prod/gcp/demo/workload-c`,
      'node gcp-node-1',
      'node gcp-node-2',
      'node gcp-server-1',
      'server gcp-server-1',
      'node aws-server-0',
      'server aws-server-0',
      'node west-server-0',
      'server west-server-0',
    ]);
    const [entry] = proofs;
    expect(entry).toMatchObject({ shown: 0, missing: [], notes: ['what holds its SVIDs cannot be asked'] });
    expect(Date.parse(entry!.agedOutAt)).toBeGreaterThanOrEqual(startedAt + hour);
    expect(Date.parse(entry!.agedOutAt)).toBeLessThan(Date.now() + hour);
    const server = proofs.find(({ of }) => of === 'server gcp-server-1');
    expect(server).toMatchObject({ shown: 2, missing: [] });
    expect(server?.notes).toEqual([
      'its CA gcp-server-1#ca ends at 2030-01-01T00:00:00.000Z, and its key is gone',
      'its JWT key gcp-server-1#ca stays in the bundle until 2030-01-01T00:00:00.000Z',
    ]);
  }, 60_000);

  it('names a server whose authorities nobody could read, and takes it away all the same', async () => {
    const input = ownSpec();
    const world = await bootstrapped(larger(input));
    world.refusing = 'control readAuthorities';
    const { proofs } = await update(world, smaller(input), { policy: { approvals: 'none' } });
    const server = proofs.find(({ of }) => of === 'server gcp-server-1');
    expect(server?.notes).toEqual(['its authorities could not be read: control readAuthorities is refused']);
    expect(Date.parse(server!.agedOutAt)).toBeGreaterThan(Date.now() + 3_500_000);
    expect(world.things.has('gcp instance gcp-server-1')).toBe(false);
  }, 60_000);
});

describe('while it narrows', () => {
  /** Lets it go up to the first thing that is taken away, and no further. */
  async function narrowing(world: FakeWorld, input: Spec, act: (change: WorkflowHandle) => Promise<void>) {
    let letGo = (): void => undefined;
    world.blocked = { call: 'control deleteEntries', until: new Promise<void>((resolve) => (letGo = resolve)) };
    return update(world, smaller(input), { policy: { approvals: 'none' } }, async (change) => {
      while (!world.calls.includes('control deleteEntries')) await new Promise((resolve) => setTimeout(resolve, 20));
      await act(change);
      letGo();
      world.blocked = undefined;
    }).then((report) => report);
  }
  const instances = (world: FakeWorld) => [...world.things].filter((thing) => thing.includes(' instance ')).length;

  it('a pause holds it before the next thing is taken away, until somebody resumes', async () => {
    const input = ownSpec();
    const world = await bootstrapped(larger(input));
    const before = instances(world);
    let held = 0;
    const report = await narrowing(world, input, async (change) => {
      await change.signal('pause');
      setTimeout(() => {
        held = instances(world);
        void change.signal('resume');
      }, 1_500);
    });
    expect(held).toBe(before);
    expect(report.outcome).toBe('updated');
    expect(instances(world)).toBe(3);
  }, 60_000);

  it('an abort comes too late: it says so, and goes forward', async () => {
    const input = ownSpec();
    const world = await bootstrapped(larger(input));
    let notes: readonly string[] = [];
    const report = await narrowing(world, input, async (change) => {
      await change.signal('abort', 'changed my mind');
      notes = (await change.query<Progress>('progress')).change?.notes ?? [];
    });
    expect(notes.at(-1)).toBe('abort (changed my mind) came after the point of no return: the change goes forward');
    expect(report.outcome).toBe('updated');
  }, 60_000);
});

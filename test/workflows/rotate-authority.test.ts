// Rotations on a real Temporal server and a fake fleet of three tiers: what is proven before what, who is waited for, what is undone, and who may say what.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import type { DryRunReport } from '../../activities/trust/rotation.ts';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { KeptReport } from '../../workflows/rotation/rotate.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
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
function stage() {
  runs += 1;
  const trustDomain = `rotation-${runs}.example.org`;
  const world = createFakeWorld(trustDomain);
  const { workflow } = temporal.environment.client;
  const start = (type: string, request: object = {}, id = type): Promise<WorkflowHandle> =>
    workflow.start(type, {
      args: [{ topology: world.fleet.topology, ...request }],
      taskQueue: 'control',
      workflowId: `${id}/${trustDomain}`,
    });
  const change = workflow.getHandle(`trustChange/${trustDomain}`);
  const progress = () => change.query<Progress>('progress');
  const reached = async (isReached: (now: Progress) => boolean): Promise<Progress> => {
    for (;;) {
      const now = await progress().catch(() => undefined); // it may not have begun
      if (now !== undefined && isReached(now)) return now;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const approve = (gate: string, planDigest: string, approver = 'somebody') =>
    change.executeUpdate<string, [object]>('approve', { args: [{ planDigest, gate, approver, reason: 'seen' }] });
  return { trustDomain, world, start, change, progress, reached, approve };
}

const leafAgent = (trustDomain: string): string => `spiffe://${trustDomain}/spire/agent/fake/leaf`;

function setAway(world: FakeWorld, id: string, away: boolean): void {
  const agent = world.fleet.agents.get(id);
  if (agent === undefined) throw new Error(`no agent ${id}`);
  agent.away = away;
}

/** From the moment on at which a call is made. */
async function called(world: FakeWorld, call: string, times = 1): Promise<void> {
  while (world.calls.filter((made) => made === call).length < times)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

const firstRoots = ['root-0#1', 'root-1#2'];

/** Everybody is under the new roots, and the bundle has nothing else. */
function expectRotated({ fleet }: FakeWorld): void {
  const roots = [...fleet.bundle.keys()];
  expect(roots).toHaveLength(2);
  for (const root of firstRoots) expect(roots).not.toContain(root);
  for (const agent of fleet.agents.values()) {
    expect(roots).toContain(agent.under);
    expect([...agent.knows].sort()).toEqual([...roots].sort());
  }
  for (const { tier, active } of fleet.servers.values()) {
    if (tier !== 'root') expect(roots).toContain(active.upstreamAuthorityId);
  }
}

/** Nothing was done, or all of it was taken back. */
function expectUntouched({ fleet }: FakeWorld): void {
  expect([...fleet.bundle]).toEqual(firstRoots.map((id) => [id, false]));
  for (const { prepared } of fleet.servers.values()) expect(prepared).toBeUndefined();
  expect(fleet.servers.get('root-0')?.active.authorityId).toBe(firstRoots[0]);
}

describe('rotateX509Authority', () => {
  it('widens, proves, activates, issues again, proves, taints, proves, revokes, proves – on every server, each once', async () => {
    const { world, start } = stage();
    const report = await temporal.withWorkers(
      world,
      async () => (await (await start('rotateX509Authority', { reason: 'yearly' })).result()) as KeptReport,
      { replayAlways: true },
    );
    expectRotated(world);
    expect(world.fleet.effects).toEqual([
      'prepare root-0 root-0#5',
      'prepare root-1 root-1#6',
      'activate root-0 root-0#5',
      'activate root-1 root-1#6',
      'activate middle-0 middle-0#7',
      'activate leaf-0 leaf-0#8',
      'taint root-0 root-0#1',
      'taint root-1 root-1#2',
      'revoke root-0 root-0#1',
      'revoke root-1 root-1#2',
    ]);
    expect(report.proofs.map(({ claim, authorityIds }) => `${claim} ${authorityIds.join(' ')}`)).toEqual([
      'held root-0#5 root-1#6',
      'moved root-0#1 root-1#2',
      'tainted root-0#1 root-1#2',
      'ended root-0#1 root-1#2',
      'gone root-0#1 root-1#2',
    ]);
    expect(report.proofs.every(({ tiers }) => tiers.map(({ tier }) => tier).join() === 'root,middle,leaf')).toBe(true);
    expect(report).toMatchObject({
      operation: 'rotateX509Authority',
      reason: 'yearly',
      forced: [],
      broken: [],
      svidsReissued: 3,
    });
    expect(world.fleet.reports).toHaveLength(1);
    expect(report.file).toContain('rotateX509Authority');
  });

  it('replaces the intermediate CA of a tier and of those below; bundles are not touched', async () => {
    const { world, start } = stage();
    const report = await temporal.withWorkers(
      world,
      async () => (await (await start('rotateX509Authority', { tier: 'middle' })).result()) as KeptReport,
    );
    expect(world.fleet.effects).toEqual([
      'prepare middle-0 middle-0#5',
      'activate middle-0 middle-0#5',
      'activate leaf-0 leaf-0#6',
    ]);
    expect([...world.fleet.bundle]).toEqual(firstRoots.map((id) => [id, false]));
    expect(report.notes.join()).toContain('bundles never held middle-0#3');
  });

  it('says in a dry run what it would do, and changes nothing', async () => {
    const { world, start } = stage();
    const report = await temporal.withWorkers(
      world,
      async () => (await (await start('rotateX509Authority', { dryRun: true })).result()) as DryRunReport,
    );
    expectUntouched(world);
    expect(world.fleet.effects).toEqual([]);
    expect(report.wouldReplace.map(({ server }) => server.name)).toEqual(['root-0', 'root-1']);
    expect(report.steps).toEqual([
      'prepare at root-0',
      'prepare at root-1',
      'prove "held" in root, middle, leaf',
      'POINT OF NO RETURN',
      'activate at root-0',
      'activate at root-1',
      'issue the intermediate CAs again in middle, leaf',
      'prove "moved" in root, middle, leaf',
      'taint root-0#1',
      'taint root-1#2',
      'prove "tainted" in root, middle, leaf',
      'prove "ended" in root, middle, leaf',
      'revoke root-0#1',
      'revoke root-1#2',
      'prove "gone" in root, middle, leaf',
    ]);
  });

  it('changes nothing while somebody is silent, and names them', async () => {
    const { world, start, trustDomain } = stage();
    setAway(world, leafAgent(trustDomain), true);
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('rotateX509Authority')).result()),
    );
    expect(failure.type).toBe('Blocked');
    expect(failure.message).toContain(leafAgent(trustDomain));
    expectUntouched(world);
  });

  const faults = [
    ['names nothing to rotate', { topology: undefined }, 'spec, topology: exactly one of the two must be given'],
    [
      'names a tier that is not there',
      { tier: 'nowhere' },
      'tier: no tier has the name "nowhere"; there are root, middle, leaf',
    ],
    ['has a key that nobody knows', { dryrun: true }, 'Unrecognized key: "dryrun"'],
    [
      'has a deadline without unit',
      { policy: { proofDeadline: '30' } },
      'policy.proofDeadline: must be a duration with units',
    ],
    ['wants approvals of nobody', { policy: { approveRevocation: true } }, 'policy.approvals: must be named or signed'],
    [
      'shortens a wait without an approval',
      { policy: { agedOut: 'shorten' } },
      'policy.agedOut: shorten needs approveRevocation',
    ],
    [
      'leaves holders behind without an approval',
      { policy: { atDeadline: 'leave' } },
      'policy.atDeadline: leave needs approveRevocation',
    ],
    [
      'wants signatures and lists no approvers',
      { policy: { approvals: 'signed' } },
      'policy.approvers: must list who may approve',
    ],
    [
      'wants signatures and does not say who asks',
      { policy: { approvals: 'signed' }, requester: 'me' },
      'requester: must be a SPIFFE ID',
    ],
    ['names one authority', { authorityId: 'aa' }, 'authorityId: only distrustAuthority names one'],
    ['says its kind twice', { kind: 'jwt' }, 'kind: rotateX509Authority says it already'],
  ] as const;
  it.each(faults)('refuses a request that %s', async (_name, request, message) => {
    const { world, start } = stage();
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('rotateX509Authority', request)).result()),
    );
    expect(failure.type).toBe('InvalidRequest');
    expect(failure.message).toContain(message);
    expectUntouched(world);
  });
});

describe('a holder that is missing', () => {
  /** Goes away once the check is over. */
  async function withAbsence(
    request: object,
    act: (parts: ReturnType<typeof stage> & { handle: WorkflowHandle }) => Promise<void>,
  ): Promise<FakeWorld> {
    const parts = stage();
    const { world, start, trustDomain } = parts;
    let release = (): void => undefined;
    world.blocked = { call: 'control ensurePrepared', until: new Promise<void>((resolve) => (release = resolve)) };
    await temporal.withWorkers(world, async () => {
      const handle = await start('rotateX509Authority', request);
      await called(world, 'control ensurePrepared');
      setAway(world, leafAgent(trustDomain), true);
      release();
      await act({ ...parts, handle });
    });
    return world;
  }

  it('is named and waited for, and the rotation goes on when it is back', async () => {
    const world = await withAbsence({}, async ({ world: at, trustDomain, handle, reached }) => {
      const { change } = await reached((now) => (now.change?.missing.length ?? 0) > 0);
      expect(change?.missing.map(({ id }) => id)).toEqual([leafAgent(trustDomain)]);
      expect(change?.waitingFor).toContain('held');
      expect(at.fleet.effects.filter((effect) => effect.startsWith('activate'))).toEqual([]);
      setAway(at, leafAgent(trustDomain), false);
      await handle.result();
    });
    expectRotated(world);
  });

  it('is waited for no more once it is evicted', async () => {
    const world = await withAbsence({}, async ({ world: at, trustDomain, handle, reached }) => {
      await reached((now) => (now.change?.missing.length ?? 0) > 0);
      at.fleet.agents.delete(leafAgent(trustDomain));
      await handle.result();
    });
    expectRotated(world);
  });

  it('has everything undone when the deadline passes', async () => {
    const world = await withAbsence({ policy: { proofDeadline: '200ms' } }, async ({ handle, trustDomain }) => {
      const failure = await failureOf(handle.result());
      expect(failure.type).toBe('NotProven');
      expect(failure.message).toBe(`"held" was not proven within 200ms: ${leafAgent(trustDomain)} of leaf (not held)`);
    });
    expectUntouched(world);
  });

  it('is left behind by name where the policy says so and the revocation is approved', async () => {
    const policy = { proofDeadline: '200ms', atDeadline: 'leave', approvals: 'named', approveRevocation: true };
    await withAbsence({ policy }, async ({ handle, trustDomain, reached, approve }) => {
      const { change } = await reached((now) => now.change?.waitingFor === 'approval of the revocation');
      await approve('revocation', change?.planDigest ?? '');
      const report = (await handle.result()) as KeptReport;
      expect(report.forced).toEqual([`the policy left ${leafAgent(trustDomain)} behind at the proof "held": not held`]);
    });
  });

  it('is gone without when somebody decides so, and the report says who', async () => {
    await withAbsence({}, async ({ handle, trustDomain, reached, change }) => {
      const { change: told } = await reached((now) => (now.change?.missing.length ?? 0) > 0);
      const input = { approver: 'ops', reason: 'it burned', holders: [leafAgent(trustDomain)] };
      const wrong = change.executeUpdate('proceedWithout', { args: [{ ...input, planDigest: 'another' }] });
      await expect(wrong).rejects.toThrow(WorkflowUpdateFailedError);
      await change.executeUpdate('proceedWithout', { args: [{ ...input, planDigest: told?.planDigest }] });
      const report = (await handle.result()) as KeptReport;
      expect(report.proofs[0]?.without).toEqual([leafAgent(trustDomain)]);
      expect(report.approvals.map(({ gate, approver }) => `${approver}: ${gate}`)).toEqual([
        `ops: without ${leafAgent(trustDomain)}`,
      ]);
    });
  });
});

describe('an operator', () => {
  const policy = { approvals: 'named', approveActivation: true, approveRevocation: true } as const;

  it('approves the plan that is shown, and no other', async () => {
    const { world, start, reached, approve, change } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('rotateX509Authority', { policy });
      const { change: told } = await reached((now) => now.change?.waitingFor === 'approval of the activation');
      const digest = told?.planDigest ?? '';
      expect(digest).toMatch(/^[0-9a-f]{64}$/);
      const causeOf = async (attempt: Promise<unknown>): Promise<string> => {
        const error = (await attempt.catch((cause: unknown) => cause)) as WorkflowUpdateFailedError;
        return error.cause?.message ?? '';
      };
      expect(await causeOf(approve('activation', '00'))).toBe(`the plan's digest is ${digest}, not 00`);
      expect(await causeOf(approve('everything', digest))).toContain('no gate has the name "everything"');
      expect(await causeOf(approve('activation', digest, ''))).toContain('it names no approver');
      expect(world.fleet.effects.some((effect) => effect.startsWith('activate'))).toBe(false);
      expect(await approve('activation', digest, 'alice')).toBe('activation approved by alice');
      await reached((now) => now.change?.waitingFor === 'approval of the revocation');
      expect(world.fleet.effects.some((effect) => effect.startsWith('revoke'))).toBe(false);
      await approve('revocation', digest, 'bob');
      const report = (await handle.result()) as KeptReport;
      expect(report.approvals.map(({ approver, gate }) => `${approver} ${gate}`)).toEqual([
        'alice activation',
        'bob revocation',
      ]);
      expect(change.workflowId).toContain('trustChange/');
    });
    expectRotated(world);
  });

  it('pauses it at a safe point, and it goes on when told', async () => {
    const { world, start, reached, approve, change } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('rotateX509Authority', { policy });
      const { change: told } = await reached((now) => now.change?.waitingFor === 'approval of the activation');
      await change.signal('pause');
      await reached((now) => now.change?.paused === true);
      await approve('activation', told?.planDigest ?? '');
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(world.fleet.effects.some((effect) => effect.startsWith('activate'))).toBe(false);
      await change.signal('resume');
      await reached((now) => now.change?.waitingFor === 'approval of the revocation');
      await approve('revocation', told?.planDigest ?? '');
      await handle.result();
    });
    expectRotated(world);
  });

  it('aborts it before the point of no return, and everything is undone', async () => {
    const { world, start, reached, change } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('rotateX509Authority', { policy });
      await reached((now) => now.change?.waitingFor === 'approval of the activation');
      await change.signal('abort', 'changed my mind');
      const failure = await failureOf(handle.result());
      expect([failure.type, failure.message]).toEqual(['Aborted', 'aborted: changed my mind']);
    });
    expectUntouched(world);
  });

  it('cancels it before the point of no return, and everything is undone', async () => {
    const { world, start, reached } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('rotateX509Authority', { policy });
      await reached((now) => now.change?.waitingFor === 'approval of the activation');
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    });
    expectUntouched(world);
  });

  it.each(['abort', 'cancel'])('is told by %s after the point of no return that it only goes forward', async (how) => {
    const { world, start, reached, approve, change } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('rotateX509Authority', { policy });
      const { change: told } = await reached((now) => now.change?.waitingFor === 'approval of the activation');
      await approve('activation', told?.planDigest ?? '');
      await reached((now) => now.change?.waitingFor === 'approval of the revocation');
      if (how === 'abort') {
        await change.signal('abort', 'too late');
        const later = await reached((now) => now.change?.notes.some((note) => note.includes('too late')) === true);
        expect(later.change?.pointOfNoReturn).toBe('passed');
      } else await handle.cancel();
      await approve('revocation', told?.planDigest ?? '');
      await change.result();
    });
    expectRotated(world);
  });

  it('who is second is refused while one rotation runs', async () => {
    const { world, start, reached, approve } = stage();
    await temporal.withWorkers(world, async () => {
      const first = await start('rotateX509Authority', { policy: { ...policy, approveRevocation: false } });
      const { change } = await reached((now) => now.change?.waitingFor === 'approval of the activation');
      const failure = await failureOf((await start('rotateX509Authority', {}, 'somebody-elses')).result());
      expect(failure.type).toBe('Conflict');
      await approve('activation', change?.planDigest ?? '');
      await first.result();
    });
    expect(world.fleet.effects.filter((effect) => effect.startsWith('prepare'))).toHaveLength(2);
    expectRotated(world);
  });
});

describe('a rotation whose activity fails', () => {
  it.each(['digestPlan', 'ensurePrepared', 'waitForProof'])(
    'at %s, after its effect, before the point of no return, is undone',
    async (name) => {
      const { world, start } = stage();
      world.failing = { call: `control ${name}`, type: 'InvalidRequest' };
      const failure = await temporal.withWorkers(world, async () =>
        failureOf((await start('rotateX509Authority')).result()),
      );
      expect(failure.message).toBe(`control ${name} was made to fail`);
      expectUntouched(world);
    },
  );

  it('says what it could not undo', async () => {
    const { world, start } = stage();
    world.failing = { call: 'control digestPlan', type: 'InvalidRequest' };
    world.refusing = 'control withdrawPrepared';
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('rotateX509Authority')).result()),
    );
    expect(failure.type).toBe('RollbackIncomplete');
    expect(failure.message).toContain('prepared x509 authority of root-1');
  });

  const forward = ['ensureActivated', 'ensureReissued', 'ensureTainted', 'ensureRevoked'];
  it.each(forward.flatMap((name) => [[name, 'before'] as const, [name, 'after'] as const]))(
    'at %s, %s its effect, is brought to its end by a person, and nothing is done twice',
    async (name, when) => {
      const { world, start, reached, change } = stage();
      const call = `control ${name}`;
      if (when === 'before') world.refusing = call;
      else world.failing = { call, type: 'InvalidRequest' };
      await temporal.withWorkers(world, async () => {
        const handle = await start('rotateX509Authority');
        const { change: told } = await reached(
          (now) => now.change?.notes.some((note) => note.includes('is tried again')) === true,
        );
        expect(told?.pointOfNoReturn).toBe('passed');
        [world.refusing, world.failing] = [undefined, undefined];
        await change.signal('resume');
        await handle.result();
      });
      expectRotated(world);
      expect(new Set(world.fleet.effects).size).toBe(world.fleet.effects.length);
      expect(world.fleet.effects).toHaveLength(10);
    },
  );
});

describe('rotateJwtAuthority', () => {
  it('widens in the whole trust domain and narrows in the tier and below', async () => {
    const { world, start } = stage();
    const report = await temporal.withWorkers(
      world,
      async () => (await (await start('rotateJwtAuthority', {})).result()) as KeptReport,
    );
    expect(report.proofs.map(({ claim }) => claim)).toEqual(['held', 'tainted', 'ended', 'gone']);
    expect(world.fleet.effects.filter((effect) => effect.includes('middle') || effect.includes('leaf'))).toEqual([]);
  });
});

describe('distrustAuthority', () => {
  it('takes over from a rotation that has prepared, which is undone first', async () => {
    const { world, start, reached, approve } = stage();
    const policy = { approvals: 'named', approveActivation: true };
    await temporal.withWorkers(world, async () => {
      const rotation = await start('rotateX509Authority', { policy });
      await reached((now) => now.change?.waitingFor === 'approval of the activation');
      const emergency = await start('distrustAuthority', { reason: 'stolen', authorityId: 'root-0#1' });
      const failure = await failureOf(rotation.result());
      expect(failure.type).toBe('StoodAside');
      const { change } = await reached((now) => now.change?.waitingFor === 'approval of the revocation');
      await approve('revocation', change?.planDigest ?? '');
      const report = (await emergency.result()) as KeptReport;
      expect(report.replaced.map(({ old }) => old)).toEqual(['root-0#1']);
      expect(report.proofs.map(({ claim }) => claim)).toEqual(['held', 'tainted', 'gone']);
      expect(report.forced).toEqual(['the policy did not wait until what nobody can be asked about had ended']);
    });
    expect([...world.fleet.bundle.keys()]).not.toContain('root-0#1');
    expect([...world.fleet.bundle.keys()]).toContain('root-1#2');
    for (const agent of world.fleet.agents.values()) expect(agent.under).not.toBe('root-0#1');
  });

  it('reports what broke: who still hung on the authority when it was revoked', async () => {
    const { world, start, reached, approve, trustDomain } = stage();
    await temporal.withWorkers(world, async () => {
      setAway(world, leafAgent(trustDomain), true);
      const handle = await start('distrustAuthority', { policy: { proofDeadline: '200ms' } });
      const { change } = await reached((now) => now.change?.waitingFor === 'approval of the revocation');
      await approve('revocation', change?.planDigest ?? '');
      const report = (await handle.result()) as KeptReport;
      expect(report.broken.map(({ id }) => id)).toEqual([leafAgent(trustDomain)]);
    });
  });

  it('refuses to distrust an intermediate CA by itself', async () => {
    const { world, start } = stage();
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('distrustAuthority', { tier: 'leaf' })).result()),
    );
    expect(failure.type).toBe('InvalidRequest');
    expect(failure.message).toContain('distrust the root above');
  });

  it('refuses an authority that no server signs with', async () => {
    const { world, start } = stage();
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('distrustAuthority', { authorityId: 'ff' })).result()),
    );
    expect(failure.message).toBe('no server of tier root signs or signed with authority "ff"');
  });
});

describe('rotateUpstreamAuthority', () => {
  it('moves a tier, and those below, to the CA that the upstream has been given, and revokes the old one there', async () => {
    const { world, start } = stage();
    world.fleet.replaceUpstream();
    const report = await temporal.withWorkers(
      world,
      async () => (await (await start('rotateUpstreamAuthority', { tier: 'middle' })).result()) as KeptReport,
    );
    expect(world.fleet.effects).toEqual([
      'prepare middle-0 middle-0#6',
      'activate middle-0 middle-0#6',
      'activate leaf-0 leaf-0#7',
      'taint middle-0 root-0#1',
      'revoke middle-0 root-0#1',
    ]);
    expect(report.proofs.map(({ claim, authorityIds }) => `${claim} ${authorityIds.join()}`)).toEqual([
      'held root-0#5',
      'moved root-0#1',
      'tainted root-0#1',
      'ended root-0#1',
      'gone root-0#1',
    ]);
  });

  it('is blocked where the CA is a root itself', async () => {
    const { world, start } = stage();
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('rotateUpstreamAuthority')).result()),
    );
    expect(failure.type).toBe('Blocked');
    expect(failure.message).toContain('there is no authority above it');
    expectUntouched(world);
  });

  it('is undone where the upstream still signs under the old one', async () => {
    const { world, start } = stage();
    const failure = await temporal.withWorkers(world, async () =>
      failureOf((await start('rotateUpstreamAuthority', { tier: 'middle' })).result()),
    );
    expect(failure.type).toBe('Blocked');
    expect(failure.message).toContain('give it its new CA first');
    expectUntouched(world);
  });
});

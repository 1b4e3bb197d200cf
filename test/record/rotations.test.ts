// Records the workflows that replace authorities, on a fake fleet of three tiers: every way in which they end.
import { afterAll, beforeAll, describe } from 'vitest';
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

const rotated = (name: string) => ({ name, keep: ['rotateX509Authority', 'trustChange'] });
/** What people see of these is in the change alone. */
const changed = (name: string) => ({ name, keep: ['trustChange'] });
const approvals = { approvals: 'named', approveActivation: true, approveRevocation: true };

function leaf({ world }: Stage) {
  const found = [...world.fleet.agents].find(([, { tier }]) => tier === 'leaf');
  if (found === undefined) throw new Error('there is no agent of the leaf');
  const [id, agent] = found;
  return { id, agent };
}

async function approve({ change, waitingFor }: Stage, gate: 'activation' | 'revocation'): Promise<void> {
  const { change: told } = await waitingFor(`approval of the ${gate}`);
  const approval = { planDigest: told?.planDigest ?? '', gate, approver: 'somebody', reason: 'seen' };
  await change.executeUpdate<string, [object]>('approve', { args: [approval] });
}

/** Starts one while the leaf's agent goes away after the check. */
async function startWithAbsence(stage: Stage, request: object) {
  const prepare = stage.hold('control ensurePrepared');
  const handle = await stage.start('rotateX509Authority', request);
  await stage.called('control ensurePrepared');
  leaf(stage).agent.away = true;
  prepare.letGo();
  return handle;
}

describe('rotateX509Authority', () => {
  record(temporal, rotated('rotated'), ({ start }) => start('rotateX509Authority', { reason: 'yearly' }));
  record(temporal, rotated('intermediate-rotated'), ({ start }) => start('rotateX509Authority', { tier: 'middle' }));
  record(temporal, { name: 'rehearsed', keep: ['rotateX509Authority'] }, ({ start }) =>
    start('rotateX509Authority', { dryRun: true }),
  );
  record(temporal, { name: 'invalid-request', keep: ['rotateX509Authority'] }, ({ start }) =>
    start('rotateX509Authority', { tier: 'nowhere' }),
  );
  record(temporal, rotated('blocked'), (stage) => {
    leaf(stage).agent.away = true;
    return stage.start('rotateX509Authority', {});
  });
  record(temporal, changed('approved'), async (stage) => {
    const handle = await stage.start('rotateX509Authority', { policy: approvals });
    await approve(stage, 'activation');
    await approve(stage, 'revocation');
    return handle;
  });
  record(temporal, changed('paused-and-aborted'), async (stage) => {
    const handle = await stage.start('rotateX509Authority', { policy: approvals });
    await stage.waitingFor('approval of the activation');
    await stage.change.signal('pause');
    await stage.change.signal('resume');
    await stage.change.signal('abort', 'changed my mind');
    return handle;
  });
  record(temporal, rotated('cancelled-before-activation'), async (stage) => {
    const handle = await stage.start('rotateX509Authority', { policy: approvals });
    await stage.waitingFor('approval of the activation');
    await handle.cancel();
    return handle;
  });
  record(temporal, rotated('cancelled-after-activation'), async (stage) => {
    const handle = await stage.start('rotateX509Authority', { policy: { ...approvals, approveActivation: false } });
    await stage.waitingFor('approval of the revocation');
    await handle.cancel();
    await stage.change.signal('abort', 'too late');
    await approve(stage, 'revocation');
    return handle;
  });
  record(temporal, changed('not-proven'), (stage) => startWithAbsence(stage, { policy: { proofDeadline: '200ms' } }));
  record(temporal, changed('left-behind'), async (stage) => {
    const policy = { proofDeadline: '200ms', atDeadline: 'leave', approvals: 'named', approveRevocation: true };
    const handle = await startWithAbsence(stage, { policy });
    await approve(stage, 'revocation');
    return handle;
  });
  record(temporal, changed('proceeded-without'), async (stage) => {
    const handle = await startWithAbsence(stage, {});
    const { change: told } = await stage.waitingFor('held');
    const { id } = leaf(stage);
    const decision = { planDigest: told?.planDigest, approver: 'ops', reason: 'it burned', holders: [id] };
    await stage.change.executeUpdate('proceedWithout', { args: [decision] });
    return handle;
  });
  record(temporal, changed('rollback-incomplete-of-rotation'), ({ start, world }) => {
    world.failing = { call: 'control digestPlan', type: 'InvalidRequest' };
    world.refusing = 'control withdrawPrepared';
    return start('rotateX509Authority', {});
  });
  for (const step of ['ensureActivated', 'ensureReissued', 'ensureTainted', 'ensureRevoked']) {
    record(temporal, changed(`resumed-after-${step}`), async (stage) => {
      const { world, start, called, change } = stage;
      world.failing = { call: `control ${step}`, type: 'InvalidRequest' };
      const handle = await start('rotateX509Authority', {});
      await called(`control ${step}`);
      for (;;) {
        const { change: told } = await change.query<{ change?: { notes: string[] } }>('progress');
        if (told?.notes.some((note) => note.includes('is tried again')) === true) break;
      }
      world.failing = undefined;
      await change.signal('resume');
      return handle;
    });
  }
});

describe('the others', () => {
  record(temporal, { name: 'jwt-rotated', keep: ['rotateJwtAuthority', 'trustChange'] }, ({ start }) =>
    start('rotateJwtAuthority', {}),
  );
  for (const workflow of ['rotateJwtAuthority', 'scanExpiry']) {
    record(temporal, { name: `invalid-request-of-${workflow}`, keep: [workflow] }, ({ start }) =>
      start(workflow, { tier: 'nowhere' }),
    );
  }
  record(temporal, { name: 'intermediate-not-distrusted', keep: ['distrustAuthority', 'trustChange'] }, ({ start }) =>
    start('distrustAuthority', { tier: 'leaf' }),
  );
  record(temporal, { name: 'upstream-replaced', keep: ['rotateUpstreamAuthority', 'trustChange'] }, (stage) => {
    stage.world.fleet.replaceUpstream();
    return stage.start('rotateUpstreamAuthority', { tier: 'middle' });
  });
  record(temporal, { name: 'upstream-not-replaced', keep: ['rotateUpstreamAuthority', 'trustChange'] }, ({ start }) =>
    start('rotateUpstreamAuthority', { tier: 'middle' }),
  );
  record(temporal, { name: 'distrusted', keep: ['distrustAuthority', 'trustChange'] }, async (stage) => {
    const handle = await stage.start('distrustAuthority', { reason: 'stolen', authorityId: 'root-0#1' });
    await approve(stage, 'revocation');
    return handle;
  });
  record(temporal, { name: 'stood-aside', keep: ['rotateX509Authority', 'trustChange'] }, async (stage) => {
    const rotation = await stage.start('rotateX509Authority', { policy: approvals });
    await stage.waitingFor('approval of the activation');
    const emergency = await stage.start('distrustAuthority', { reason: 'stolen' });
    await rotation.result().catch(() => undefined); // it stands aside
    await approve(stage, 'revocation');
    await emergency.result();
    return rotation;
  });
  record(temporal, { name: 'expiry-scanned', keep: ['scanExpiry'] }, ({ start }) => start('scanExpiry', {}));
});

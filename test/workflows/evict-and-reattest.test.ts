// A locked-out node let back in, on a real Temporal server and fake clouds: what its cloud must say, what is asked, and what is refused.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import type { KeptRunbookReport } from '../../workflows/runbooks/runbook.ts';
import type { RunbookProgress } from '../../workflows/runbooks/runbook-progress.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let runs = 0;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(() => temporal.close());

const node = 'aws-node-0';
const policy = { lookEvery: '50ms', deadline: '20s' };

/** A trust domain that stands, and one of its nodes with an SVID that has ended. */
function stage() {
  runs += 1;
  const trustDomain = `locked-out-${runs}.example.org`;
  const world = createFakeWorld(trustDomain);
  for (const name of [
    'gcp instance upstream-0',
    'gcp instance gcp-server-0',
    'aws instance aws-server-0',
    `aws instance ${node}`,
  ])
    world.put(name);
  const agentId = `spiffe://${trustDomain}/spire/agent/aws/${node}`;
  const agent = { tier: 'aws', away: true, knows: new Set<string>(), knowsTainted: new Set<string>(), under: '' };
  world.fleet.agents.set(agentId, agent);
  world.troubles.expired.add(agentId);
  const start = (request: object): Promise<WorkflowHandle> =>
    temporal.environment.client.workflow.start('evictAndReattest', {
      args: [{ spec: { ...spec, trustDomain }, subject: node, policy, ...request }],
      taskQueue: 'control',
      workflowId: `evictAndReattest/${trustDomain}`,
    });
  const run = (act: (handle: WorkflowHandle) => Promise<void> = async () => undefined, request: object = {}) =>
    temporal.withWorkers(world, async () => {
      const handle = await start(request);
      await act(handle);
      return (await handle.result()) as KeptRunbookReport;
    });
  return { world, agentId, agent, start, run, troubles: world.troubles };
}

async function waitingForApproval(handle: WorkflowHandle): Promise<RunbookProgress> {
  for (;;) {
    const progress = await handle.query<RunbookProgress>('progress').catch(() => undefined); // it may not have begun
    if (progress?.waitingFor?.startsWith('approval') === true) return progress;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

async function approve(handle: WorkflowHandle): Promise<void> {
  const { planDigest } = await waitingForApproval(handle);
  const approval = { planDigest, gate: 'action', approver: 'somebody', reason: 'I know this node' };
  await handle.executeUpdate<string, [object]>('approve', { args: [approval] });
}

it('evicts it when that is approved, and ends when it has attested again', async () => {
  const { run, agentId, agent, troubles, world } = stage();
  const report = await run(async (handle) => {
    await approve(handle);
    while (!troubles.evicted.has(agentId)) await new Promise((resolve) => setTimeout(resolve, 20));
    troubles.evicted.delete(agentId);
    agent.away = false;
  });
  expect(report).toMatchObject({
    outcome: 'recovered',
    subject: node,
    actions: [{ what: `evict agent ${agentId}`, ended: 'done' }],
    approvals: [{ approver: 'somebody' }],
  });
  expect(report.findings).toContain(
    `${node} runs, and was started at 2025-01-01T00:00:00.000Z; its agent was heard last at 2026-01-01T00:00:00.000Z`,
  );
  expect(world.calls.filter((call) => call === 'control ensureEvicted')).toHaveLength(1);
});

it('says so where it does not come back within its window', async () => {
  const { run } = stage();
  const report = await run(approve, { policy: { lookEvery: '50ms', deadline: '3s' } }); // the approval has to come in it, too
  expect(report).toMatchObject({
    outcome: 'needs a person',
    advice: [expect.stringContaining('did not attest within its window')],
  });
});

it.each([
  ['was started after its agent was heard last', '2026-06-01T00:00:00.000Z'],
  ['does not say when', ''],
])('evicts nobody where the instance %s', async (told, launchedAt) => {
  const { run, world, troubles } = stage();
  world.launched.set(node, launchedAt);
  const report = await run();
  expect(report.outcome).toBe('needs a person');
  expect(report.findings.join()).toContain(told);
  expect(troubles.evicted.size).toBe(0);
});

it('evicts nobody where the instance is started anew while the approval is waited for', async () => {
  const { run, world, troubles } = stage();
  const report = await run(async (handle) => {
    await waitingForApproval(handle);
    world.launched.set(node, '2025-06-01T00:00:00.000Z');
    await approve(handle);
  });
  expect(report.findings.at(-1)).toBe(`${node} was started anew while the approval was waited for`);
  expect([report.outcome, troubles.evicted.size]).toEqual(['needs a person', 0]);
});

it('evicts nobody without approval, nor an agent that is banned, nor one that is in', async () => {
  const { run, agentId, troubles } = stage();
  expect((await run(undefined, { policy: { lookEvery: '50ms', deadline: '300ms' } })).outcome).toBe('needs a person');
  troubles.banned.add(agentId);
  expect((await run()).advice[0]).toContain('this lifts no ban');
  troubles.banned.clear();
  troubles.expired.clear();
  expect((await run()).outcome).toBe('nothing is wrong');
  troubles.evicted.add(agentId);
  expect(await run()).toMatchObject({
    outcome: 'nothing is wrong',
    advice: [expect.stringContaining('nothing keeps')],
  });
});

it('evicts nobody whose instance does not run, and knows no other names', async () => {
  const { run, world, start } = stage();
  world.cloud('aws');
  await temporal.withWorkers(world, async () => {
    const error = (await (
      await start({ subject: 'aws-node-9' })
    )
      .result()
      .catch((cause: unknown) => cause)) as WorkflowFailedError;
    expect(String(error.cause?.cause)).toContain('none has the name "aws-node-9"');
  });
  await world.cloud('aws').removeInstance({ trustDomain: '', infrastructure: 'lab', region: '', name: node });
  const report = await run();
  expect(report.outcome).toBe('needs a person');
  expect(report.findings.join()).toContain(`its cloud does not list ${node} as running`);
});

it('evicts nobody who may attest again as it is, nor one that never reported', async () => {
  const { run, troubles } = stage();
  troubles.look = { heardAt: undefined, silent: undefined };
  const silent = await run();
  expect(silent.findings.at(-1)).toBe(
    `the agent of ${node} never reported: nobody knows up to when the instance was what it was`,
  );
  troubles.look = { canReattest: true };
  const free = await run();
  expect(free.advice).toEqual([`nothing keeps ${node} out: aws_iid lets its agent attest again`]);
  expect([silent.outcome, free.outcome, troubles.evicted.size]).toEqual(['needs a person', 'nothing is wrong', 0]);
});

it('refuses to do without an approval, or to leave the way open for more than minutes', async () => {
  const { start, world } = stage();
  await temporal.withWorkers(world, async () => {
    const handle = await start({ policy: { approvals: 'none', deadline: '16m' } });
    const error = (await handle.result().catch((cause: unknown) => cause)) as WorkflowFailedError;
    const said = String(error.cause?.cause);
    expect(said).toContain('evicts nobody without an approval');
    expect(said).toContain('15m at most: "16m"');
  });
});

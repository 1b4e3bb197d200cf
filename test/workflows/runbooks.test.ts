// Runbooks on a real Temporal server and a fake fleet in trouble: what each finds, does, asks and leaves to a person, and how it ends.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import type { KeptRunbookReport } from '../../workflows/runbooks/runbook.ts';
import type { RunbookProgress } from '../../workflows/runbooks/runbook-progress.ts';
import type { SnapshotReport } from '../../workflows/snapshot-trust.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import { bootstrapped } from '../support/bootstrapped-world.ts';
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

const quick = { lookEvery: '50ms', deadline: '60s' };
/** Nobody comes back: it is over soon. */
const hopeless = { lookEvery: '50ms', deadline: '500ms' };

function stage() {
  runs += 1;
  const trustDomain = `runbook-${runs}.example.org`;
  const world = createFakeWorld(trustDomain);
  const { workflow } = temporal.environment.client;
  const { troubles, fleet } = world;
  const start = (type: string, request: object = {}): Promise<WorkflowHandle> =>
    workflow.start(type, {
      args: [{ topology: fleet.topology, ...request }],
      taskQueue: 'control',
      workflowId: `${type}/${trustDomain}`,
    });
  const run = (type: string, request: object = {}): Promise<KeptRunbookReport> =>
    temporal.withWorkers(world, async () => (await (await start(type, request)).result()) as KeptRunbookReport);
  /** Starts it, and acts once it waits for what has these words in it. */
  const meanwhile = (
    type: string,
    request: object,
    wait: string,
    act: (handle: WorkflowHandle, progress: RunbookProgress) => Promise<void> | void,
  ): Promise<KeptRunbookReport> =>
    temporal.withWorkers(world, async () => {
      const handle = await start(type, request);
      await act(handle, await waiting(handle, wait));
      return (await handle.result()) as KeptRunbookReport;
    });
  const agentId = `spiffe://${trustDomain}/spire/agent/fake/leaf`;
  const agent = fleet.agents.get(agentId)!;
  return { trustDomain, world, troubles, fleet, start, run, meanwhile, agentId, agent };
}

async function waiting(handle: WorkflowHandle, words: string): Promise<RunbookProgress> {
  for (;;) {
    const progress = await handle.query<RunbookProgress>('progress').catch(() => undefined); // it may not have begun
    if (progress?.waitingFor?.includes(words) === true) return progress;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

async function approve(handle: WorkflowHandle, { planDigest = '' }: RunbookProgress, approver = 'somebody') {
  await handle.executeUpdate<string, [object]>('approve', {
    args: [{ planDigest, gate: 'action', approver, reason: 'seen' }],
  });
}

describe('downstreamServerDown', () => {
  it('finds what is lost and ends when the server is back', async () => {
    const { troubles, meanwhile } = stage();
    troubles.down.add('root-0');
    const report = await meanwhile(
      'downstreamServerDown',
      { subject: 'root-0', policy: quick },
      'root-0 to answer',
      () => {
        troubles.down.clear();
      },
    );
    expect(report).toMatchObject({ outcome: 'recovered', subject: 'root-0', actions: [], advice: [] });
    expect(report.findings).toEqual([
      'server root-0 of tier root does not answer: connection refused',
      '1 of 2 servers of tier root answer: nothing is lost, and one more failure stops issuance',
      'server root-0 answers again',
    ]);
    expect(report.file).toContain('downstreamServerDown');
  });

  it('leaves to a person what does not come back', async () => {
    const { troubles, run } = stage();
    troubles.down.add('leaf-0');
    const report = await run('downstreamServerDown', { subject: 'leaf-0', policy: hopeless });
    expect(report).toMatchObject({
      outcome: 'needs a person',
      advice: [expect.stringContaining('replace server leaf-0')],
    });
    expect(report.findings[1]).toContain('0 of 1 servers of tier leaf answer: nothing is issued');
  });

  it('says that nothing is wrong where it answers, and refuses a server that there is not', async () => {
    const { run, world, start } = stage();
    expect((await run('downstreamServerDown', { subject: 'root-1' })).outcome).toBe('nothing is wrong');
    await temporal.withWorkers(world, async () => {
      const error: unknown = await (
        await start('downstreamServerDown', { subject: 'root-9' })
      )
        .result()
        .catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(WorkflowFailedError);
      expect(String((error as WorkflowFailedError).cause?.cause)).toContain(
        'none has the name "root-9"; there are root-0, root-1',
      );
    });
  });
});

describe('downstreamServerDown with a specification', () => {
  /** A trust domain that stands, with two servers in one of its segments. */
  async function standing(subject: string, more: object = {}) {
    runs += 1;
    const trustDomain = `runbook-${runs}.example.org`;
    const [gcp, aws] = spec.segments;
    const wide = { ...spec, trustDomain, segments: [{ ...gcp, servers: 2 }, aws] };
    const world = await bootstrapped(wide);
    world.troubles.down.add(subject);
    const request = { spec: wide, subject, policy: hopeless, ...more };
    const start = () =>
      temporal.environment.client.workflow.start('downstreamServerDown', {
        args: [request],
        taskQueue: 'control',
        workflowId: `downstreamServerDown/${trustDomain}`,
      });
    const run = (act: (handle: WorkflowHandle) => Promise<void>): Promise<KeptRunbookReport> =>
      temporal.withWorkers(world, async () => {
        const handle = await start();
        await act(handle);
        return (await handle.result()) as KeptRunbookReport;
      });
    const acts = () =>
      world.calls.filter((call) => /ensure(Server|Banned|Evicted|Entry)|removeInstance|applyRel/.test(call));
    const before = acts().length;
    return { world, trustDomain, run, acts: () => acts().slice(before) };
  }
  const approving = async (handle: WorkflowHandle) => approve(handle, await waiting(handle, 'approval'));
  const untouched = async () => undefined;

  it('makes a server anew that does not come back, once somebody approves, and proves that it is back', async () => {
    const { world, run, acts } = await standing('gcp-server-1', { policy: { ...hopeless, deadline: '3s' } });
    const report = await run(approving);
    expect(report).toMatchObject({
      outcome: 'recovered',
      actions: [{ what: 'replace server gcp-server-1 of tier gcp', ended: 'done' }],
      approvals: [{ approver: 'somebody' }],
      advice: [],
    });
    expect(acts()).toEqual([
      'control ensureBanned',
      'gcp removeInstance',
      'control ensureEvicted',
      'gcp ensureServerInstance',
      'control ensureEntry',
    ]);
    expect(report.findings.at(-1)).toMatch(
      /^server gcp-server-1 is back at gcp-server-1\.2\.internal; its intermediate CA ends at /,
    );
    expect(world.made.get('gcp instance gcp-server-1')).toBe(2);
    expect(world.made.get('gcp instance gcp-server-0')).toBe(1);
  }, 30_000);

  it('has agents told where the first of their servers is now', async () => {
    const { world, trustDomain, run, acts } = await standing('gcp-server-0', {
      policy: { ...hopeless, deadline: '3s' },
    });
    const report = await run(async (handle) => {
      await approving(handle);
      await handle.result();
      await temporal.environment.client.workflow.getHandle(`rollOutAgents/${trustDomain}`).result();
    });
    expect(report.outcome).toBe('recovered');
    expect(report.actions.map(({ what }) => what)).toEqual([
      'replace server gcp-server-0 of tier gcp',
      'have the agents of tier gcp told of gcp-server-0.2.internal',
    ]);
    expect(acts()).toContain('gcp applyRelease');
    expect([...world.nodes.releases.keys()].toSorted()).toEqual(['gcp-node-0', 'gcp-node-1']);
  }, 30_000);

  it('leaves it to a person where no other server of its pool serves', async () => {
    const { world, run, acts } = await standing('gcp-server-1');
    world.troubles.down.add('gcp-server-0');
    const report = await run(untouched);
    expect(report).toMatchObject({ outcome: 'needs a person', actions: [] });
    expect(report.advice).toEqual([
      'no other server of tier gcp serves: runbook downstreamClusterDown, before gcp-server-1 is replaced',
    ]);
    expect(acts()).toEqual([]);
  });

  it('replaces nothing where the policy lets it only look, or nobody approves', async () => {
    for (const policy of [{ ...hopeless, mayAct: false }, hopeless]) {
      const { run, acts } = await standing('gcp-server-1', { policy });
      const report = await run(untouched);
      expect(report).toMatchObject({ outcome: 'needs a person', actions: [], approvals: [] });
      expect(report.advice).toEqual([expect.stringContaining('replace server gcp-server-1')]);
      expect(acts()).toEqual([]);
    }
  });

  it('goes on with one whose instance is gone', async () => {
    const { world, run, acts, trustDomain } = await standing('gcp-server-1', {
      policy: { ...hopeless, deadline: '3s' },
    });
    world.things.delete('gcp instance gcp-server-1');
    // Its agent had another name than the one that comes after it.
    const gone = `spiffe://${trustDomain}/spire/agent/gcp/gone`;
    const [id, entry] = [...world.entries].find(([, { parentId }]) => parentId.endsWith('/gcp-server-1')) ?? [];
    if (id === undefined || entry === undefined) throw new Error('no entry of the server');
    world.entries.set(id, { ...entry, parentId: gone });
    const report = await run(approving);
    expect(report.outcome).toBe('recovered');
    const parents = [...world.entries.values()]
      .filter((one) => one.spiffeId === entry.spiffeId)
      .map((one) => one.parentId);
    expect(parents.toSorted()).toEqual(
      ['gcp-server-0', 'gcp-server-1'].map((name) => `spiffe://${trustDomain}/spire/agent/gcp/${name}`),
    );
    expect(acts()).toEqual(['control ensureEvicted', 'gcp ensureServerInstance', 'control ensureEntry']);
    expect(report.findings).toContain('server gcp-server-1 of tier gcp does not answer: it has no instance');
    expect(report.findings).toContain(
      '1 of 2 servers of tier gcp answer: nothing is lost, and one more failure stops issuance',
    );
  }, 30_000);

  it('is told that another change runs, and says how to go on', async () => {
    const { trustDomain, run, acts } = await standing('gcp-server-1', { policy: { ...hopeless, deadline: '3s' } });
    const change = await temporal.environment.client.workflow.start('trustChange', {
      args: [{}],
      taskQueue: 'nobody',
      workflowId: `trustChange/${trustDomain}`,
    });
    const report = await run(approving);
    await change.terminate();
    expect(report.actions[0]?.ended).toContain('another change of trust is running');
    expect(report.advice).toEqual(['start this runbook again: it goes on with server gcp-server-1 where it was']);
    expect(acts()).toEqual([]);
  }, 30_000);
});

describe('downstreamClusterDown', () => {
  it('tells broken servers from broken hosts, and waits until agents are heard again', async () => {
    const { troubles, meanwhile, agent } = stage();
    troubles.down.add('leaf-0');
    agent.away = true;
    const report = await meanwhile(
      'downstreamClusterDown',
      { subject: 'leaf', policy: quick },
      'tier leaf to serve',
      async () => {
        troubles.down.clear();
        await new Promise((resolve) => setTimeout(resolve, 300));
        agent.away = false;
      },
    );
    expect(report.outcome).toBe('recovered');
    expect(report.findings).toContain(
      'the agents on their hosts are heard: what is broken are the servers themselves, or their datastore',
    );
    expect(report.findings).toContain(
      'downstream server leaf below tier middle is silent since 2026-01-01T00:00:00.000Z',
    );
  });

  it('leaves to a person agents that stay silent', async () => {
    const { troubles, meanwhile, agent } = stage();
    troubles.away.add('leaf');
    agent.away = true;
    const request = { subject: 'leaf', policy: { lookEvery: '50ms', deadline: '3s' } };
    const report = await meanwhile('downstreamClusterDown', request, 'tier leaf to serve', () => troubles.away.clear());
    expect(report.outcome).toBe('needs a person');
    expect(report.findings).toContain('1 of 1 agents of tier leaf are silent');
  });
});

describe('upstreamUnreachable', () => {
  it('names each server below with the end of its CA, and ends when all report again', async () => {
    const { troubles, meanwhile } = stage();
    for (const name of ['root-0', 'root-1']) troubles.down.add(name);
    const report = await meanwhile('upstreamUnreachable', { policy: quick }, 'the upstream to serve', () =>
      troubles.down.clear(),
    );
    expect(report.outcome).toBe('recovered');
    expect(report.findings).toContain(
      'server middle-0 of tier middle signs until 2030-01-01T00:00:00.000Z with the CA that it has',
    );
  });

  it('finds nothing where the upstream serves', async () => {
    expect((await stage().run('upstreamUnreachable', {})).outcome).toBe('nothing is wrong');
  });
});

describe('intermediateRenewalFailing', () => {
  it('does not ask an upstream that is away for a CA', async () => {
    const { troubles, run, fleet } = stage();
    for (const name of ['root-0', 'root-1']) troubles.down.add(name);
    const report = await run('intermediateRenewalFailing', { subject: 'middle', policy: quick });
    expect(report).toMatchObject({ outcome: 'needs a person', actions: [] });
    expect(fleet.effects).toEqual([]);
  });

  it('has the tier issued new CAs where the upstream serves, under the lock of the trust domain', async () => {
    const { run, fleet } = stage();
    const report = await run('intermediateRenewalFailing', { subject: 'middle', policy: hopeless });
    expect(report.actions).toMatchObject([{ what: 'have every server of tier middle issued a new CA', ended: 'done' }]);
    expect(fleet.effects.some((effect) => effect.startsWith('activate middle-0'))).toBe(true);
    // The fake's CAs all end at one time: nothing shows that the new one is newer.
    expect(report.outcome).toBe('needs a person');
  });

  it('only looks where the policy says so', async () => {
    const { run, fleet } = stage();
    const report = await run('intermediateRenewalFailing', {
      subject: 'middle',
      policy: { ...hopeless, mayAct: false },
    });
    expect(report.findings).toContain(
      'the policy lets this runbook only look: it did not have every server of tier middle issued a new CA',
    );
    expect(fleet.effects).toEqual([]);
  });

  it('has no business with a root', async () => {
    expect((await stage().run('intermediateRenewalFailing', { subject: 'root' })).advice[0]).toContain(
      'rotateX509Authority',
    );
  });
});

describe('datastoreFailover', () => {
  it('waits until the datastore answers and everybody has the bundle', async () => {
    const { troubles, meanwhile } = stage();
    troubles.away.add('root');
    const report = await meanwhile(
      'datastoreFailover',
      { subject: 'root', policy: quick },
      'the datastore of tier root',
      () => troubles.away.clear(),
    );
    expect(report.outcome).toBe('recovered');
    expect(report.findings).toContain(
      '2 servers of tier root sign on for the agents that they know; no entry changes and no CA rotates',
    );
  });

  it('leaves to a person a datastore that stays away', async () => {
    const { troubles, run } = stage();
    troubles.away.add('root');
    const report = await run('datastoreFailover', { subject: 'root', policy: hopeless });
    expect(report).toMatchObject({ outcome: 'needs a person' });
    expect(report.advice.join()).toContain('datastoreLost');
  });
});

describe('datastoreLost', () => {
  it('replaces authorities that the backup does not have, and restores entries when that is approved', async () => {
    const { troubles, fleet, meanwhile, run } = stage();
    await run('snapshotTrust');
    troubles.entries.set('root', ['root/0']);
    troubles.unpublished.add('root-0');
    const report = await meanwhile(
      'datastoreLost',
      { subject: 'root', policy: quick },
      'approval to restore 19 entries',
      async (handle, progress) => {
        troubles.unpublished.clear();
        await approve(handle, progress);
      },
    );
    expect(report.outcome).toBe('recovered');
    expect(report.actions.map(({ what, ended }) => [what, ended])).toEqual([
      ['replace the authorities of tier root', 'done'],
      ['restore 19 entries of tier root from snapshot root', 'done'],
    ]);
    expect(fleet.effects.some((effect) => effect.startsWith('activate root-0'))).toBe(true);
    expect(troubles.entries.get('root')).toHaveLength(20);
  });

  it('waits for the backup, and says what to do where none comes', async () => {
    const { troubles, run } = stage();
    troubles.away.add('root');
    const report = await run('datastoreLost', { subject: 'root', policy: hopeless });
    expect(report).toMatchObject({
      outcome: 'needs a person',
      advice: [expect.stringContaining('restore the newest backup')],
    });
  });
});

describe('agents', () => {
  it('agentCrashLoop waits for an agent that stays up', async () => {
    const { run, agentId } = stage();
    expect(await run('agentCrashLoop', { subject: agentId, policy: quick })).toMatchObject({ outcome: 'recovered' });
  });

  it('agentCrashLoop does not wait for a banned one', async () => {
    const { run, agentId, troubles } = stage();
    troubles.banned.add(agentId);
    const report = await run('agentCrashLoop', { subject: agentId, policy: quick });
    expect(report).toMatchObject({ outcome: 'needs a person', advice: [expect.stringContaining('banned')] });
  });

  it('agentCrashLoop leaves to a person an agent that is not heard', async () => {
    const { run, agentId, agent } = stage();
    agent.away = true;
    expect((await run('agentCrashLoop', { subject: agentId, policy: hopeless })).advice[0]).toContain('its log');
  });

  it('agentUnreachable evicts one that is locked out when that is approved, once', async () => {
    const { meanwhile, agentId, agent, troubles, world } = stage();
    troubles.expired.add(agentId);
    agent.away = true;
    const report = await meanwhile(
      'agentUnreachable',
      { subject: agentId, policy: quick },
      `approval to evict agent ${agentId}`,
      async (handle, progress) => {
        await approve(handle, progress);
        while (!troubles.evicted.has(agentId)) await new Promise((resolve) => setTimeout(resolve, 20));
        troubles.evicted.delete(agentId); // it attests again
        agent.away = false;
      },
    );
    expect(report).toMatchObject({ outcome: 'recovered', approvals: [{ approver: 'somebody', gate: 'action' }] });
    expect(world.calls.filter((call) => call === 'control ensureEvicted')).toHaveLength(1);
  });

  it('agentUnreachable does not evict an agent that attests anew by itself, nor without approval', async () => {
    const { run, agentId, agent, troubles } = stage();
    troubles.expired.add(agentId);
    agent.away = true;
    const waited = await run('agentUnreachable', { subject: agentId, policy: hopeless });
    expect(waited.findings.at(-1)).toContain('nobody approved within 500ms to evict agent');
    troubles.reattesting.add(agentId);
    const report = await run('agentUnreachable', { subject: agentId, policy: hopeless });
    expect([waited.outcome, report.outcome, troubles.evicted.size]).toEqual(['needs a person', 'needs a person', 0]);
  });

  it('agentUnreachable is refused a policy that asks nobody', async () => {
    const { agentId, world, start } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('agentUnreachable', { subject: agentId, policy: { approvals: 'none' } });
      const error = (await handle.result().catch((cause: unknown) => cause)) as WorkflowFailedError;
      expect(String(error.cause?.cause)).toContain(
        'policy.approvals: agentUnreachable evicts nobody without an approval',
      );
    });
  });

  it('agentUnreachable says that nothing is wrong, that it is banned, and refuses what is no SPIFFE ID', async () => {
    const { run, agentId, troubles, world, start } = stage();
    expect((await run('agentUnreachable', { subject: agentId })).outcome).toBe('nothing is wrong');
    troubles.banned.add(agentId);
    expect((await run('agentUnreachable', { subject: agentId })).advice[0]).toContain('is banned');
    await temporal.withWorkers(world, async () => {
      const handle = await start('agentUnreachable', { subject: 'node-1' });
      await expect(handle.result()).rejects.toThrow();
    });
  });

  it('agentSvidNearExpiry ends when the SVID was renewed, and says what follows where it was not', async () => {
    const { meanwhile, run, agentId, troubles } = stage();
    troubles.endsAt = '2026-12-01T00:00:00.000Z';
    const renewed = await meanwhile(
      'agentSvidNearExpiry',
      { subject: agentId, policy: quick },
      'to renew its SVID',
      () => {
        troubles.endsAt = '2026-12-01T01:00:00.000Z';
      },
    );
    expect(renewed.outcome).toBe('recovered');
    troubles.expired.add(agentId);
    const report = await run('agentSvidNearExpiry', { subject: agentId, policy: hopeless });
    expect(report).toMatchObject({ outcome: 'needs a person', advice: ['it has ended: runbook agentUnreachable'] });
  });

  it('massAgentFailure names what the silent ones have in common, restarts nobody, and ends when they are back', async () => {
    const { meanwhile, fleet, agent, troubles, trustDomain, world } = stage();
    for (let i = 0; i < 9; i += 1)
      fleet.agents.set(`spiffe://${trustDomain}/spire/agent/fake/leaf-${i}`, { ...agent, away: true });
    troubles.common = ['version 0.2.0: 9 of the 9 silent ones, and 0 others'];
    const report = await meanwhile(
      'massAgentFailure',
      { subject: 'leaf', policy: quick },
      'the agents of tier leaf',
      () => {
        for (const one of fleet.agents.values()) one.away = false;
      },
    );
    expect(report.outcome).toBe('recovered');
    expect(report.findings).toEqual(
      expect.arrayContaining([
        '9 of 10 agents of tier leaf are silent',
        'in common, in tier leaf: version 0.2.0: 9 of the 9 silent ones, and 0 others',
        'agents are not restarted: each serves its workloads what it has until that ends',
      ]),
    );
    expect(new Set(world.calls)).toEqual(
      new Set(['control checkRunbook', 'control lookAtTiers', 'control writeReport']),
    );
  });

  it('massAgentFailure advises by what it found', async () => {
    const { run, fleet, agent, troubles, trustDomain } = stage();
    expect((await run('massAgentFailure', { subject: 'leaf' })).outcome).toBe('nothing is wrong');
    for (let i = 0; i < 9; i += 1)
      fleet.agents.set(`spiffe://${trustDomain}/spire/agent/fake/leaf-${i}`, { ...agent, away: true });
    troubles.common = ['version 0.2.0: 9 of the 9 silent ones, and 0 others'];
    expect((await run('massAgentFailure', { subject: 'leaf', policy: hopeless })).advice[0]).toContain('roll it back');
    troubles.down.add('leaf-0');
    expect((await run('massAgentFailure', { subject: 'leaf', policy: hopeless })).advice[0]).toContain(
      'downstreamClusterDown',
    );
  });
});

describe('containNode', () => {
  it('bans the agent when that is approved, by the very plan that is shown, and names what it holds', async () => {
    const { meanwhile, agentId, troubles } = stage();
    troubles.endsAt = new Date(Date.now() + 1_500).toISOString();
    const report = await meanwhile(
      'containNode',
      { subject: agentId, policy: quick },
      `approval to ban agent ${agentId}`,
      async (handle, progress) => {
        const refused = await approve(handle, { ...progress, planDigest: 'another' }).catch((error: unknown) => error);
        expect(refused).toBeInstanceOf(WorkflowUpdateFailedError);
        expect(troubles.banned.size).toBe(0);
        await approve(handle, progress);
      },
    );
    expect(report).toMatchObject({ outcome: 'contained', actions: [{ what: `ban agent ${agentId}`, ended: 'done' }] });
    expect(troubles.banned).toContain(agentId);
    expect(report.findings.join()).toContain(`ends at ${troubles.endsAt} at the latest`);
    expect(report.advice).toHaveLength(1);
  });

  it('cuts the node off in its cloud when that is approved too, where a specification says which cloud', async () => {
    const { meanwhile, world, trustDomain, troubles } = stage();
    const node = 'aws-node-0';
    for (const name of [
      'gcp instance upstream-0',
      'gcp instance gcp-server-0',
      'aws instance aws-server-0',
      `aws instance ${node}`,
    ])
      world.put(name);
    const agentId = `spiffe://${trustDomain}/spire/agent/aws/${node}`;
    const agent = { tier: 'aws', away: false, knows: new Set<string>(), knowsTainted: new Set<string>(), under: '' };
    world.fleet.agents.set(agentId, agent);
    troubles.endsAt = new Date(Date.now() + 2_000).toISOString();
    const request = { topology: undefined, spec: { ...spec, trustDomain }, subject: agentId, policy: quick };
    const report = await meanwhile(
      'containNode',
      request,
      `approval to ban agent ${agentId}`,
      async (handle, progress) => {
        await approve(handle, progress);
        const second = await waiting(handle, `approval to cut the node of agent ${agentId} off in aws`);
        expect(world.nodes.isolated.size).toBe(0);
        await approve(handle, second);
      },
    );
    expect(report).toMatchObject({ outcome: 'contained', actions: [{ ended: 'done' }, { ended: 'done' }] });
    expect([...world.nodes.isolated]).toEqual([node]);
    expect(report.findings).toContain(`node ${node} is cut off: no new connection reaches it, and it opens none`);
  });

  it('bans nobody without approval, and says how to end sooner what lasts longer than it waits', async () => {
    const { run, agentId, troubles } = stage();
    expect((await run('containNode', { subject: agentId, policy: hopeless })).outcome).toBe('needs a person');
    expect(troubles.banned.size).toBe(0);
    const report = await run('containNode', { subject: agentId, policy: { ...hopeless, approvals: 'none' } });
    expect(report.outcome).toBe('contained');
    expect(report.advice[1]).toContain('distrustAuthority of tier leaf');
  });

  it('says so where the agent is let back in meanwhile', async () => {
    const { meanwhile, agentId, troubles } = stage();
    troubles.banned.add(agentId);
    const report = await meanwhile(
      'containNode',
      { subject: agentId, policy: { lookEvery: '50ms', deadline: '2s' } },
      'what the node holds',
      () => troubles.banned.clear(),
    );
    expect(report.outcome).toBe('needs a person');
  });
});

describe('registrationEntryDrop', () => {
  it('restores what the snapshot had when that is approved, by an approver of the policy', async () => {
    const { meanwhile, run, troubles, trustDomain } = stage();
    await run('snapshotTrust');
    troubles.entries.set('leaf', ['leaf/0', 'leaf/new']);
    const approver = `spiffe://${trustDomain}/people/approver`;
    const policy = { ...quick, approvers: [approver] };
    const report = await meanwhile(
      'registrationEntryDrop',
      { subject: 'leaf', policy },
      'approval to restore',
      async (handle, progress) => {
        const refused = (await approve(handle, progress).catch((error: unknown) => error)) as WorkflowUpdateFailedError;
        expect(refused.cause?.message).toContain('the policy does not list "somebody" among its approvers');
        await approve(handle, progress, approver);
      },
    );
    expect(report).toMatchObject({ outcome: 'recovered', approvals: [{ approver }] });
    expect(troubles.entries.get('leaf')).toHaveLength(21);
  });

  it('finds nothing where nothing is gone, and needs a person where there is no snapshot', async () => {
    const { run, troubles } = stage();
    expect((await run('registrationEntryDrop', { subject: 'leaf' })).outcome).toBe('needs a person');
    await run('snapshotTrust');
    expect((await run('registrationEntryDrop', { subject: 'leaf' })).outcome).toBe('nothing is wrong');
    troubles.entries.set('leaf', []);
    expect((await run('registrationEntryDrop', { subject: 'leaf', policy: hopeless })).outcome).toBe('needs a person');
    expect(troubles.entries.get('leaf')).toEqual([]);
  });
});

describe('snapshotTrust', () => {
  it('keeps no snapshot of a loss, and starts the runbook that restores it; unless it is told to accept it', async () => {
    const { world, start, troubles, trustDomain } = stage();
    await temporal.withWorkers(world, async () => {
      const first = (await (await start('snapshotTrust')).result()) as SnapshotReport;
      expect(first.kept.map(({ tier, entries }) => [tier, entries])).toEqual([
        ['root', 20],
        ['middle', 20],
        ['leaf', 20],
      ]);
      troubles.entries.set('leaf', ['leaf/0']);
      const second = (await (await start('snapshotTrust')).result()) as SnapshotReport;
      expect(second.notKept).toEqual([expect.stringContaining('tier leaf: 19 of 20 entries are gone')]);
      expect(troubles.snapshots.get('leaf')?.entries).toHaveLength(20);
      const runbook = temporal.environment.client.workflow.getHandle(`registrationEntryDrop/${trustDomain}/leaf`);
      await waiting(runbook, 'approval to restore 19 entries');
      // It is safe to find the same again.
      await (await start('snapshotTrust')).result();
      await runbook.signal('abort', 'it was meant');
      await expect(runbook.result()).rejects.toThrow();
      const last = (await (await start('snapshotTrust', { acceptLoss: true })).result()) as SnapshotReport;
      expect([last.notKept, troubles.snapshots.get('leaf')?.entries.length]).toEqual([[], 1]);
    });
  });
});

describe('unplannedCaRotation', () => {
  it('names what changed and distrusts it when that is approved', async () => {
    const { meanwhile, run, fleet } = stage();
    await run('snapshotTrust');
    await run('rotateX509Authority');
    const [unwanted] = ['root-0', 'root-1'].map((name) => fleet.servers.get(name)?.active.authorityId ?? '');
    const report = await meanwhile(
      'unplannedCaRotation',
      { subject: 'root', policy: quick },
      `approval to distrust ${unwanted ?? ''}`,
      async (handle, progress) => {
        await approve(handle, progress);
        const change = temporal.environment.client.workflow.getHandle(`trustChange/${fleet.topology.trustDomain}`);
        for (let i = 0; i < 2; i += 1) await approveDistrust(change, i);
      },
    );
    expect(report.actions.map(({ ended }) => ended)).toEqual(['done', 'done']);
    expect(report.outcome).toBe('contained');
    expect([...fleet.bundle.keys()]).not.toContain(unwanted);
  });

  it('finds nothing where nothing changed; without a snapshot and for intermediates it leaves it to a person', async () => {
    const { run } = stage();
    const blind = await run('unplannedCaRotation', { subject: 'root', policy: hopeless });
    expect([blind.outcome, blind.findings[0]]).toEqual([
      'needs a person',
      'there is no snapshot of tier root to compare with',
    ]);
    await run('snapshotTrust');
    expect((await run('unplannedCaRotation', { subject: 'root' })).outcome).toBe('nothing is wrong');
    await run('rotateX509Authority', { tier: 'middle' });
    expect((await run('unplannedCaRotation', { subject: 'middle' })).outcome).toBe('needs a person');
  });
});

/** An emergency has approvals of its own. */
async function approveDistrust(change: WorkflowHandle, already: number): Promise<void> {
  const seen = new Set<string>();
  for (;;) {
    const progress = await change
      .query<{ change?: { planDigest?: string; waitingFor?: string; operation: string } }>('progress')
      .catch(() => undefined);
    const { planDigest, waitingFor, operation } = progress?.change ?? {};
    if (operation === 'distrustAuthority' && waitingFor === 'approval of the revocation' && planDigest !== undefined) {
      if (approved.has(planDigest)) continue;
      approved.add(planDigest);
      seen.add(planDigest);
      await change.executeUpdate<string, [object]>('approve', {
        args: [{ planDigest, gate: 'revocation', approver: 'somebody', reason: `number ${already}` }],
      });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
const approved = new Set<string>();

describe('overlayTunnelDown', () => {
  it('says that there is no overlay, and which tiers do not answer', async () => {
    const { troubles, run } = stage();
    expect((await run('overlayTunnelDown')).outcome).toBe('nothing is wrong');
    troubles.down.add('middle-0');
    const report = await run('overlayTunnelDown', { policy: hopeless });
    expect(report.findings).toContain('server middle-0 of tier middle does not answer: connection refused');
    expect(report.outcome).toBe('needs a person');
  });
});

describe('a runbook', () => {
  it('hears alerts: repeats, and that it is over; each is in the report once', async () => {
    const { troubles, meanwhile } = stage();
    troubles.down.add('leaf-0');
    const alert = {
      status: 'firing',
      name: 'SpireServerDown',
      fingerprint: 'f1',
      startsAt: '2026-01-01T00:00:00Z',
      labels: {},
      summary: 'gone',
    };
    const report = await meanwhile(
      'downstreamServerDown',
      { subject: 'leaf-0', policy: quick, alert },
      'to answer',
      async (handle) => {
        await handle.signal('alert', alert);
        await handle.signal('alert', { ...alert, status: 'resolved' });
        troubles.down.clear();
      },
    );
    expect(report.alerts).toEqual([
      'SpireServerDown firing, since 2026-01-01T00:00:00Z: gone',
      'SpireServerDown resolved, since 2026-01-01T00:00:00Z: gone',
    ]);
  });

  it('waits while it is paused, and ends when somebody says abort', async () => {
    const { troubles, world, start } = stage();
    troubles.down.add('leaf-0');
    await temporal.withWorkers(world, async () => {
      const handle = await start('downstreamServerDown', { subject: 'leaf-0', policy: quick });
      await waiting(handle, 'to answer');
      await handle.signal('pause');
      await expect.poll(async () => (await handle.query<RunbookProgress>('progress')).paused).toBe(true);
      await standsStill(handle);
      const looks = world.calls.length;
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(world.calls).toHaveLength(looks);
      await handle.signal('abort', 'seen to');
      await expect(handle.result()).rejects.toThrow();
    });
  });

  it('tells every fault of a request at once', async () => {
    const { world, start } = stage();
    await temporal.withWorkers(world, async () => {
      const handle = await start('massAgentFailure', {
        subject: 'leaf',
        policy: { approvals: 'signed' },
        requester: 'me',
      });
      const error = (await handle.result().catch((cause: unknown) => cause)) as WorkflowFailedError;
      expect(String(error.cause?.cause)).toContain('the request has 2 faults');
      const other = await start('massAgentFailure', { subject: 'nowhere' });
      const second = (await other.result().catch((cause: unknown) => cause)) as WorkflowFailedError;
      expect(String(second.cause?.cause)).toContain('no tier has the name "nowhere"; there are root, middle, leaf');
    });
  });
});

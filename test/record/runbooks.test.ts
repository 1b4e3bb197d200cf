// Records the runbooks on a fake fleet in trouble: each as it ends well, as it leaves something to a person, and as it fails.
import { afterAll, beforeAll, describe } from 'vitest';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { approve, hopeless, quick, runbookStories, waiting } from '../support/runbook-stories.ts';
import { record } from './recording.ts';

let started: TestTemporal;
beforeAll(async () => {
  started = await startTestTemporal();
});
afterAll(() => started.close());
const temporal = (): TestTemporal => started;

describe.each(runbookStories.map((one) => [one.runbook, one] as const))(
  '%s',
  (runbook, { subject, well, trouble, failing }) => {
    const keep = [runbook];
    record(temporal, { name: `${runbook}-ended-well`, keep }, async (stage) =>
      well === undefined ? stage.start(runbook, { subject: subject(stage) }) : well(stage, subject(stage)),
    );
    record(temporal, { name: `${runbook}-needs-a-person`, keep }, (stage) => {
      trouble?.(stage, subject(stage));
      return stage.start(runbook, { subject: subject(stage), policy: hopeless });
    });
    record(temporal, { name: `${runbook}-refused`, keep }, (stage) => stage.start(runbook, failing));
  },
);

describe('snapshotTrust', () => {
  const keep = ['snapshotTrust'];
  record(temporal, { name: 'snapshot-kept', keep }, ({ start }) => start('snapshotTrust', {}));
  record(temporal, { name: 'snapshot-refused', keep }, ({ start }) => start('snapshotTrust', { tier: 'nowhere' }));
});

describe('downstreamServerDown with a specification', () => {
  const [gcp, aws] = spec.segments;
  const wide = (trustDomain: string) => ({ ...spec, trustDomain, segments: [{ ...gcp, servers: 2 }, aws] });
  const policy = { lookEvery: '100ms', deadline: '3s' };
  const ask = (trustDomain: string, subject: string) => ({
    topology: undefined,
    spec: wide(trustDomain),
    subject,
    policy,
  });
  const segments = { segments: wide('').segments };
  const replaced = { name: 'server-replaced', keep: ['downstreamServerDown', 'trustChange'], spec: segments };
  record(temporal, replaced, async ({ start, world }) => {
    await (await start('bootstrapTrustDomain')).result();
    world.troubles.down.add('gcp-server-0');
    const handle = await start('downstreamServerDown', ask('server-replaced.example.org', 'gcp-server-0'));
    await approve(handle);
    return handle;
  });
  const gone = { ...replaced, name: 'server-gone-replaced' };
  record(temporal, gone, async ({ start, world }) => {
    await (await start('bootstrapTrustDomain')).result();
    world.things.delete('gcp instance gcp-server-1');
    world.troubles.down.add('gcp-server-1');
    const [id, entry] = [...world.entries].find(([, { parentId }]) => parentId.endsWith('/gcp-server-1')) ?? [];
    if (id === undefined || entry === undefined) throw new Error('no entry of the server');
    world.entries.set(id, { ...entry, parentId: `${entry.parentId}-before` });
    const handle = await start('downstreamServerDown', ask('server-gone-replaced.example.org', 'gcp-server-1'));
    await approve(handle);
    return handle;
  });
  record(temporal, { name: 'server-not-replaced', keep: ['downstreamServerDown'], spec: segments }, async (stage) => {
    await (await stage.start('bootstrapTrustDomain')).result();
    stage.world.troubles.down.add('gcp-server-1');
    return stage.start('downstreamServerDown', ask('server-not-replaced.example.org', 'gcp-server-1'));
  });
});

describe('containNode with a specification', () => {
  record(temporal, { name: 'contained-and-cut-off', keep: ['containNode'] }, async ({ start, world }) => {
    const node = 'aws-node-0';
    for (const server of ['gcp instance upstream-0', 'gcp instance gcp-server-0', 'aws instance aws-server-0'])
      world.put(server);
    world.put(`aws instance ${node}`);
    const trustDomain = 'contained-and-cut-off.example.org';
    const agentId = `spiffe://${trustDomain}/spire/agent/aws/${node}`;
    const agent = { tier: 'aws', away: false, knows: new Set<string>(), knowsTainted: new Set<string>(), under: '' };
    world.fleet.agents.set(agentId, agent);
    world.troubles.endsAt = new Date(Date.now() + 2_000).toISOString();
    const request = { topology: undefined, spec: { ...spec, trustDomain }, subject: agentId, policy: quick };
    const handle = await start('containNode', request);
    await approve(handle);
    const planDigest = await waiting(handle, 'off in aws');
    const approval = { planDigest, gate: 'action', approver: 'somebody', reason: 'seen' };
    await handle.executeUpdate<string, [object]>('approve', { args: [approval] });
    return handle;
  });
});

describe('evictAndReattest', () => {
  const keep = ['evictAndReattest'];
  const node = 'aws-node-0';
  record(temporal, { name: 'readmitted', keep }, async ({ start, world }) => {
    const stand = [
      'gcp instance upstream-0',
      'gcp instance gcp-server-0',
      'aws instance aws-server-0',
      `aws instance ${node}`,
    ];
    for (const thing of stand) world.put(thing);
    const agentId = 'spiffe://readmitted.example.org/spire/agent/aws/aws-node-0';
    const agent = { tier: 'aws', away: true, knows: new Set<string>(), knowsTainted: new Set<string>(), under: '' };
    world.fleet.agents.set(agentId, agent);
    world.troubles.expired.add(agentId);
    const request = {
      topology: undefined,
      spec: { ...spec, trustDomain: 'readmitted.example.org' },
      subject: node,
      policy: quick,
    };
    const handle = await start('evictAndReattest', request);
    await approve(handle);
    while (!world.troubles.evicted.has(agentId)) await new Promise((resolve) => setTimeout(resolve, 20));
    world.troubles.evicted.clear();
    return handle;
  });
  record(temporal, { name: 'without-a-cloud', keep }, ({ start }) => start('evictAndReattest', { subject: node }));
});

// An alert from end to end: a real Prometheus reads our servers and our rules, a real Alertmanager posts to our receiver, and a runbook finds what is wrong,
// waits, and reports that it is over. And every rule by Debian's promtool.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createWorkerSource } from '../../activities/control/worker-source.ts';
import { failure } from '../../activities/failures.ts';
import { createRunbookActivities } from '../../activities/runbooks/runbook-activities.ts';
import { createTrustActivities } from '../../activities/trust/trust-activities.ts';
import type { KeptRunbookReport } from '../../workflows/runbooks/runbook.ts';
import { createTestDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { nodeIdOf } from './support/agent.ts';
import { rulesFile, startAlerting } from './support/alerting.ts';
import { createLink } from './support/link.ts';
import type { Link } from './support/link.ts';
import { eventually, freePort, output } from './support/processes.ts';
import { preparePrometheus, root } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const trustDomain = 'example.org';
const operatorId = `spiffe://${trustDomain}/prod/onprem/platform/temporal-worker`;
const stage = createStage();
let programs: Awaited<ReturnType<typeof preparePrometheus>>;
let database: TestDatabase;
let temporal: TestTemporal;
const links: Link[] = [];
let world: Parameters<TestTemporal['withWorkers']>[0];
let topologyFile: string;
let operatorAgents: ReadonlySet<string>;
let first: SpireServer;

beforeAll(async () => {
  programs = await preparePrometheus();
  temporal = await startTestTemporal();
  database = await createTestDatabase();
  const serverOf = async (name: string) => {
    const metricsPort = await freePort();
    const server = await stage.server({
      name,
      database,
      settings: `admin_ids = ["${operatorId}"]`,
      sections: `telemetry { Prometheus { host = "127.0.0.1" port = ${metricsPort} } }`,
    });
    return { server, metricsPort };
  };
  const one = await serverOf('a');
  first = one.server;
  const second = await serverOf('b');
  const [api, metrics] = [await createLink(second.server), await createLink({ port: second.metricsPort })];
  links.push(stage.add(api), stage.add(metrics));
  await first.createEntry({ parentId: nodeIdOf('operator'), spiffeId: operatorId, selectors: [ownUid] });
  const operator = await stage.agent({ name: 'operator', server: first });
  operatorAgents = new Set((await first.operate('agent', 'list')).match(/spiffe:\/\/\S+\/spire\/agent\/\S+/g));
  const source = createWorkerSource(operator.socketPath);
  stage.add({ stop: async () => source.close() });
  const options = {
    source,
    planOf: () => Promise.reject(failure('InvalidRequest', 'there is no plan here')),
    reportDirectory: join(stage.directory, 'reports'),
    clock: Date.now,
  };
  world = { control: () => ({ ...createTrustActivities(options), ...createRunbookActivities(options) }) };
  topologyFile = join(stage.directory, 'topology.json');
  const servers = [
    { name: 'a', address: `127.0.0.1:${first.port}` },
    { name: 'b', address: `127.0.0.1:${api.port}` },
  ];
  writeFileSync(topologyFile, JSON.stringify({ trustDomain, tiers: [{ name: 'upstream', servers }] }));
  const { address } = temporal.environment;
  await startAlerting(stage, { programs, trustDomain, topologyFile, temporal: address }, [
    { tier: 'upstream', server: 'a', port: one.metricsPort },
    { tier: 'upstream', server: 'b', port: metrics.port },
  ]);
});
afterAll(async () => {
  await temporal.close();
  await stage.strike();
  await database.drop();
});

it('passes promtool', async () => {
  expect(await output(programs.promtool, ['check', 'rules', rulesFile])).toContain('SUCCESS');
  const tests = join(root, 'test/peers/prometheus/alerts.test.yaml');
  expect(await output(programs.promtool, ['test', 'rules', tests])).toContain('SUCCESS');
});

it('fires, starts its runbook, is waited for, and its end is in the report', async () => {
  const { workflow } = temporal.environment.client;
  await temporal.withWorkers(world, async () => {
    for (const link of links) link.cut();
    const cutAt = Date.now();
    const handle = await eventually('the runbook runs', async () => {
      for await (const { workflowId, type } of workflow.list()) {
        if (type === 'downstreamServerDown') return workflow.getHandle(workflowId);
      }
      throw new Error('no runbook yet');
    });
    expect(handle.workflowId).toMatch(/^downstreamServerDown\/example\.org\/SpireServerDown-[0-9a-f]{16}$/);
    const startedAfter = Date.now() - cutAt;
    await eventually('it waits for the server', async () => {
      const { waitingFor = '' } = await handle.query<{ waitingFor?: string }>('progress');
      if (!waitingFor.includes('server b to answer')) throw new Error(`it waits for ${waitingFor}`);
    });
    for (const link of links) link.mend();
    const mendedAt = Date.now();
    const report = (await handle.result()) as KeptRunbookReport;
    console.log(
      `alert: its runbook began after ${startedAfter} ms and saw the recovery after ${Date.now() - mendedAt} ms`,
    );
    expect(report).toMatchObject({ outcome: 'recovered', subject: 'b', requester: 'alertmanager' });
    expect(report.findings).toContain(
      '1 of 2 servers of tier upstream answer: nothing is lost, and one more failure stops issuance',
    );
    expect(report.alerts[0]).toMatch(/^SpireServerDown firing, since .*: server b of tier upstream is not there$/);
    expect(JSON.parse(readFileSync(report.file, 'utf8'))).toMatchObject({ outcome: 'recovered' });
  });
});

/** A run to its end, on the servers as they are. */
async function carryOut<T>(type: string, request: object): Promise<T> {
  const topology: unknown = JSON.parse(readFileSync(topologyFile, 'utf8'));
  return temporal.withWorkers(world, async () => {
    const { workflow } = temporal.environment.client;
    const options = { taskQueue: 'control', workflowId: `${type}/${trustDomain}/${Date.now()}` };
    return (await workflow.execute(type, { ...options, args: [{ topology, ...request }] })) as T;
  });
}

const entryCount = async (): Promise<string> => (await first.operate('entry', 'count')).trim();

it('entries that were deleted are restored as they were', async () => {
  const ids = Array.from({ length: 12 }, (_, index) => `demo-${index}`);
  for (const id of ids) {
    const shape = ['-entryID', id, '-parentID', nodeIdOf('node'), '-spiffeID', `spiffe://${trustDomain}/${id}`];
    await first.operate('entry', 'create', ...shape, '-selector', 'unix:uid:4242', '-hint', id, '-x509SVIDTTL', '600');
  }
  const before = [await entryCount(), await first.operate('entry', 'show', '-entryID', 'demo-3')];
  await carryOut('snapshotTrust', {});
  for (const id of ids.slice(1)) await first.operate('entry', 'delete', '-entryID', id);
  const policy = { approvals: 'none' };
  const report = await carryOut<KeptRunbookReport>('registrationEntryDrop', { subject: 'upstream', policy });
  expect(report).toMatchObject({ outcome: 'recovered', actions: [{ ended: 'done' }] });
  expect(report.findings.join()).toContain('11 are gone');
  const revision = /^Revision .*$/m;
  const after = [await entryCount(), await first.operate('entry', 'show', '-entryID', 'demo-3')];
  expect(after.map((text) => text.replace(revision, ''))).toEqual(before.map((text) => text.replace(revision, '')));
});

it('a node is contained: its agent is banned, and what it holds is named', async () => {
  await first.createEntry({
    parentId: nodeIdOf('node'),
    spiffeId: `spiffe://${trustDomain}/held`,
    selectors: [ownUid],
  });
  const agent = await stage.agent({ name: 'node', server: first });
  const known = await first.operate('agent', 'list');
  const agentId = known.match(/spiffe:\/\/\S+\/spire\/agent\/join_token\/\S+/g)?.find((id) => !operatorAgents.has(id));
  expect(agentId).toBeDefined();
  const policy = { approvals: 'none', deadline: '2s', lookEvery: '200ms' };
  const report = await carryOut<KeptRunbookReport>('containNode', { subject: agentId, policy });
  expect(report).toMatchObject({
    outcome: 'contained',
    actions: [{ what: `ban agent ${agentId ?? ''}`, ended: 'done' }],
  });
  expect(report.advice.join()).toContain('distrustAuthority of tier upstream');
  await eventually('the agent has ended', async () => {
    try {
      agent.checkRunning();
    } catch {
      return;
    }
    throw new Error('it runs');
  });
});

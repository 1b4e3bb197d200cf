// A trust domain that runs in both clouds, changed while its workloads go on meeting: a node, a server, a workload and a segment more, a server made anew, and
// then less. What is there is asked of the real spire-server commands and proven by handshakes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTrustDomainSpec } from '../../activities/spec/check-spec.ts';
import { openRuns } from '../../workers/up/workflows.ts';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { KeptUpdateReport } from '../../workflows/update/report.ts';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { fetchHistoryTree } from '../replay/history-tree.ts';
import { findSecrets } from '../replay/secret-shapes.ts';
import { waiting } from '../support/runbook-stories.ts';
import { spec } from '../support/specs.ts';
import { output } from './support/processes.ts';
import { root } from './support/programs.ts';
import { growDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
let domain: RunningDomain;
let client: Client;

beforeAll(async () => {
  domain = stage.add(await growDomain(stage.directory, { state: join(root, '.espalier/peers/updates') }));
  const { temporal } = domain.summary;
  const connection = await Connection.connect({ address: temporal.address });
  stage.add({ stop: () => connection.close() });
  client = new Client({ connection, namespace: temporal.namespace });
});
afterAll(() => stage.strike());

const [gcp, aws] = spec.segments;
const workload = (segment: string, name: string) => ({
  ...{ segment, environment: 'prod', team: 'demo', name },
  selectors: [`unix:path:{image}/opt/demo/${name}`],
});
const larger = {
  ...spec,
  segments: [{ ...gcp, servers: 2, nodes: 3 }, aws, { ...aws, name: 'west', region: 'us-west-2', nodes: 1 }],
  workloads: [...spec.workloads, workload('gcp', 'workload-c'), workload('west', 'workload-w')],
};

function start(type: string, input: object): Promise<WorkflowHandle> {
  return client.workflow.start(type, {
    args: [input],
    taskQueue: 'control',
    workflowId: `${type}/${domain.summary.trustDomain}`,
  });
}

async function update(input: object, more: object = {}): Promise<KeptUpdateReport> {
  const handle = await start('updateTrustDomain', { spec: input, requester: 'tests', reason: 'a test', ...more });
  const report = (await handle.result()) as KeptUpdateReport;
  const histories = await fetchHistoryTree(client.workflow, handle);
  expect(histories.flatMap(({ history }) => findSecrets(history))).toEqual([]);
  return report;
}

async function verified(input: object): Promise<TrustDomainReport> {
  return (await (await start('verifyTrustDomain', { spec: input })).result()) as TrustDomainReport;
}

const upstream = (...words: readonly string[]): Promise<string> => {
  const { adminSocket = '' } = domain.summary.servers.find(({ role }) => role === 'upstream') ?? {};
  return output(join(root, 'bin/spire-server'), [...words, '-socketPath', adminSocket]);
};

/** As its owner would, at the cloud itself. */
async function deleteGcpInstance(server: string): Promise<void> {
  const lab = JSON.parse(readFileSync(join(domain.state, 'lab/lab.json'), 'utf8')) as {
    endpoint: string;
    gcp: { accessToken: string; project: string; zone: string };
  };
  const { accessToken, project, zone } = lab.gcp;
  const instances = `${lab.endpoint}/compute/v1/projects/${project}/zones/${zone}/instances`;
  const headers = { authorization: `Bearer ${accessToken}` };
  const { items } = (await (await fetch(instances, { headers })).json()) as { items: readonly { name: string }[] };
  const name = items.find((one) => one.name.endsWith(server))?.name ?? '';
  const answer = await fetch(`${instances}/${name}`, { method: 'DELETE', headers });
  expect([name, answer.status]).toEqual([expect.stringContaining(server), 200]);
}

describe('an update of a living trust domain', () => {
  it('finds that nothing differs from what it was grown from', async () => {
    expect(await update(spec)).toMatchObject({ outcome: 'nothing differs', steps: [], left: [] });
  });

  it('adds a server, a node, workloads and a segment in another region, whose workloads meet those of the others', async () => {
    const report = await update(larger);
    expect(report).toMatchObject({ outcome: 'updated', approvals: [] });
    const { servers, agents, workloads, handshakes } = await verified(larger);
    expect(servers.map(({ name }) => name)).toEqual([
      ...['upstream-0', 'gcp-server-0', 'gcp-server-1', 'aws-server-0', 'west-server-0'],
    ]);
    expect(agents.map(({ name }) => name)).toContain('gcp-node-2');
    expect(workloads).toHaveLength(4);
    const [a, w] = [workloads[0]?.spiffeId, workloads.at(-1)?.spiffeId];
    expect(handshakes.filter(({ from, to }) => from === a && to === w)).toHaveLength(1);
    expect(await upstream('entry', 'show', '-downstream')).toContain('Found 4 entries');
    expect((await update(larger)).outcome).toBe('nothing differs');
    // What starts it next knows what it was changed into.
    const { address, namespace } = domain.summary.temporal;
    const runs = await openRuns({ connection: { address }, namespace });
    expect(await runs.bootstrap(parseTrustDomainSpec(larger))).toMatchObject({ state: 'standing' });
    await expect(runs.bootstrap(parseTrustDomainSpec(spec))).rejects.toThrow('from another specification');
  });

  it('makes a server anew whose instance is gone, once somebody has approved', async () => {
    await deleteGcpInstance('gcp-server-1');
    const policy = { lookEvery: '1s', deadline: '20s' };
    const request = { spec: larger, subject: 'gcp-server-1', policy, requester: 'tests', reason: 'a test' };
    const handle = await start('downstreamServerDown', request);
    const planDigest = await waiting(handle, 'approval');
    const approval = { planDigest, gate: 'action', approver: 'somebody', reason: 'it is gone' };
    await handle.executeUpdate<string, [object]>('approve', { args: [approval] });
    expect(await handle.result()).toMatchObject({
      outcome: 'recovered',
      actions: [{ what: 'replace server gcp-server-1 of tier gcp', ended: 'done' }],
      approvals: [{ approver: 'somebody' }],
      advice: [],
    });
    const histories = await fetchHistoryTree(client.workflow, handle);
    expect(histories.flatMap(({ history }) => findSecrets(history))).toEqual([]);
    const { servers } = await verified(larger);
    expect(servers.map(({ name }) => name)).toContain('gcp-server-1');
    expect(await upstream('entry', 'show', '-downstream')).toContain('Found 4 entries');
    expect(await upstream('agent', 'list')).toContain('Found 5 attested agents');
  });

  it('takes them away again once somebody has approved, and what stays goes on', async () => {
    const handle = await start('updateTrustDomain', { spec, requester: 'tests', reason: 'a test' });
    const change = client.workflow.getHandle(`trustChange/${domain.summary.trustDomain}`);
    await expect
      .poll(async () => (await change.query<Progress>('progress').catch(() => undefined))?.change?.waitingFor, {
        timeout: 60_000,
      })
      .toBe('approval of the update');
    const { change: asked } = await change.query<Progress>('progress');
    expect(asked?.notes).toContain('take away segment west: 1 nodes, 1 servers, their database');
    const approval = { planDigest: asked?.planDigest, gate: 'action', approver: 'somebody', reason: 'wanted' };
    await change.executeUpdate<string, [object]>('approve', { args: [approval] });
    const report = (await handle.result()) as KeptUpdateReport;
    expect(report).toMatchObject({ outcome: 'updated', approvals: [{ approver: 'somebody' }] });
    const proven = report.proofs.map(({ of }) => of);
    expect(proven).toEqual(expect.arrayContaining(['node gcp-node-2', 'server gcp-server-1', 'server west-server-0']));
    const { servers: left, agents, workloads } = await verified(spec);
    expect([left.length, agents.length, workloads.length]).toEqual([3, 4, 2]);
    expect(await upstream('entry', 'show', '-downstream')).toContain('Found 2 entries');
    expect(await upstream('agent', 'list')).toContain('Found 3 attested agents');
    expect((await update(spec)).outcome).toBe('nothing differs');
  });
});

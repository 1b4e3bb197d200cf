// Drills on a trust domain that runs in the lab: each failure is real – programs are killed, links are cut, entries are deleted – and so are the alert, the
// runbook and the recovery. SVIDs of a minute make expiry a matter of the same minute.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createInfrastructure } from '../../activities/infrastructure.ts';
import type { DrillName } from '../../activities/drills/drill.ts';
import { rootMessage } from '../../workflows/lib/failure-message.ts';
import type { KeptDrillReport } from '../../workflows/drills/report.ts';
import { fetchHistoryTree } from '../replay/history-tree.ts';
import { findSecrets } from '../replay/secret-shapes.ts';
import { spec as usual } from '../support/specs.ts';
import { preparePrometheus, root } from './support/programs.ts';
import { startAlerting } from './support/alerting.ts';
import { startProbe } from './support/probe.ts';
import { growDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';

const spec = {
  ...usual,
  trustDomain: 'drills.test',
  ttl: { root: '2h', x509Svid: '1m', jwtSvid: '1m' },
  segments: usual.segments.map((segment) => ({ ...segment, nodes: 1, intermediateTtl: '6m' })), // the least that SVIDs of a minute allow
};
/** Links can be cut only where instances have a network of their own, which takes root: `PEERS_ISOLATION=namespaces`. */
const isolation = process.env['PEERS_ISOLATION'] === 'namespaces' ? ('namespaces' as const) : undefined;
/** They wait for ends of a minute: the longer half is for those who ask for it, with `PEERS_DRILLS=all`. */
const isWhole = process.env['PEERS_DRILLS'] === 'all';
const stage = createStage();
let domain: RunningDomain;
let client: Client;
const measured: string[] = [];

beforeAll(async () => {
  const specFile = join(stage.directory, 'trust-domain.yaml');
  writeFileSync(specFile, JSON.stringify(spec)); // JSON is YAML
  // A lab keeps the isolation that its instances have: one place for each.
  const state = join(root, `.espalier/peers/drills${isolation === undefined ? '' : '-namespaces'}`);
  domain = stage.add(
    await growDomain(stage.directory, { state, specFile, ...(isolation === undefined ? {} : { isolation }) }),
  );
  const { temporal } = domain.summary;
  const connection = await Connection.connect({ address: temporal.address });
  stage.add({ stop: () => connection.close() });
  client = new Client({ connection, namespace: temporal.namespace });
});
afterAll(async () => {
  await stage.strike();
  process.stdout.write(`${measured.join('\n')}\n`);
});

const policy = { lookEvery: '1s', recovery: '2m' };

function begin(drill: DrillName, more: object = {}): Promise<WorkflowHandle> {
  return client.workflow.start('drill', {
    args: [{ spec, drill, policy: { ...policy, hold: '8s' }, requester: 'tests', reason: 'a drill', ...more }],
    taskQueue: 'control',
    workflowId: `drill/${domain.summary.trustDomain}/${drill}`,
  });
}

/** What is broken in the lab, by its own word. */
async function faultsOfLab(): Promise<readonly string[]> {
  const lab = createInfrastructure({ labFile: join(domain.state, 'lab/lab.json'), real: undefined });
  return (await lab.faults('lab')).check([]);
}

async function perform(drill: DrillName, more: object = {}): Promise<KeptDrillReport> {
  const handle = await begin(drill, more);
  const report = (await handle.result()) as KeptDrillReport;
  const histories = await fetchHistoryTree(client.workflow, handle);
  expect(histories.flatMap(({ history }) => findSecrets(history))).toEqual([]);
  for (const { failure, detected, runbook, mendedAfterSeconds, recoveredAfterSeconds, expectations } of report.rounds) {
    const seconds = (value: number | undefined) => (value === undefined ? 'never' : `${value} s`);
    const line = `${drill}: ${failure}; detected after ${seconds(detected?.afterSeconds)}, runbook after ${seconds(runbook?.afterSeconds)}, mended after ${seconds(mendedAfterSeconds)}, recovered ${seconds(recoveredAfterSeconds)} later`;
    measured.push(line, ...expectations.map(({ kind, what, met, afterSeconds, said }) => `  ${met ? '✓' : '✗'} ${kind} ${what} ${afterSeconds ?? ''} ${said ?? ''}`)); // prettier-ignore
  }
  measured.push(`${drill}: ${report.verdict} ${report.reasons.join('; ')}`);
  return report;
}

describe('a drill', () => {
  it('of a downstream server that is killed', async () => {
    const report = await perform('downstreamServerDown', { subject: 'gcp-server-0' });
    expect(report).toMatchObject({ verdict: 'passed', reasons: [] });
  });

  it.runIf(isWhole)('of an upstream that cannot be reached', async () => {
    expect(await perform('upstreamUnreachable')).toMatchObject({ verdict: 'passed', reasons: [] });
  });

  it.runIf(isolation === 'namespaces')('of an agent that is cut off', async () => {
    const report = await perform('agentPartition', { subject: 'aws-node-0', policy: { ...policy, hold: '27s' } });
    expect(report).toMatchObject({ verdict: 'passed', reasons: [] });
  });

  it.skipIf(isolation === 'namespaces')(
    'of an agent that would be cut off is refused where there are no links',
    async () => {
      // What the lab said is innermost, below the activity, the change under the lock and the drill.
      const refusal = await perform('agentPartition').catch(rootMessage);
      expect(refusal).toContain('the lab cuts no links');
      expect(refusal).toContain('--isolation namespaces');
    },
  );

  it.runIf(isWhole)('of a database that is away', async () => {
    expect(await perform('datastoreDown', { subject: 'aws' })).toMatchObject({ verdict: 'passed', reasons: [] });
  });

  it('of an entry that is deleted', async () => {
    expect(await perform('entryDeletion')).toMatchObject({ verdict: 'passed', reasons: [] });
  });

  it('that is terminated in the middle, and all that it runs under, leaves nothing broken', async () => {
    const drill = await begin('downstreamServerDown', { subject: 'aws-server-0', policy: { ...policy, hold: '15s' } });
    await expect.poll(faultsOfLab, { timeout: 60_000, interval: 100 }).toHaveLength(1);
    const lock = client.workflow.getHandle(`trustChange/${domain.summary.trustDomain}`);
    await Promise.all([lock.terminate('a test'), drill.terminate('a test')]);
    const terminatedAt = Date.now();
    await expect.poll(faultsOfLab, { timeout: 60_000, interval: 100 }).toEqual([]);
    measured.push(`downstreamServerDown: terminated; mended ${(Date.now() - terminatedAt) / 1000} s later`);
    // The next one begins where everything is whole.
    const begins = { timeout: 120_000, interval: 5_000 };
    await expect.poll(async () => (await perform('downstreamServerDown', { dryRun: true })).reasons, begins).toEqual([]); // prettier-ignore
    expect(await faultsOfLab()).toEqual([]);
  });

  it.runIf(isWhole)('whose alert fires in Prometheus, and has the alert receiver start the runbook', async () => {
    const { trustDomain, servers, temporal } = domain.summary;
    const tierOf = (name: string): string => name.replace(/(-server)?-\d+$/, '');
    const parent = { parent: 'upstream' };
    const tiers = servers.map(({ name, role, address }) => ({
      name: tierOf(name),
      ...(role === 'upstream' ? {} : parent),
      servers: [{ name, address }],
    }));
    const topologyFile = join(stage.directory, 'topology.json');
    writeFileSync(topologyFile, JSON.stringify({ trustDomain, tiers }));
    const targets = await Promise.all(
      servers.map(async ({ name, address }) => {
        const { port } = stage.add(await startProbe(address));
        return { tier: tierOf(name), server: name, port };
      }),
    );
    const programs = await preparePrometheus();
    const alerting = { programs, trustDomain, topologyFile, temporal: temporal.address };
    const prometheus = await startAlerting(stage, alerting, targets);
    const report = await perform('downstreamServerDown', {
      subject: 'aws-server-0',
      prometheus,
      policy: { ...policy, hold: '15s', startRunbook: false },
    });
    expect(report).toMatchObject({ verdict: 'passed', reasons: [] });
    expect(report.rounds).toMatchObject([
      {
        detected: { by: 'Prometheus' },
        runbook: {
          workflowId: expect.stringMatching(
            /^downstreamServerDown\/drills\.test\/SpireServerDown-[0-9a-f]{16}$/,
          ) as string,
          outcome: 'recovered',
        },
      },
    ]);
  });

  it('of trust between the clouds', async () => {
    expect(await perform('crossPlatformTrust')).toMatchObject({ verdict: 'passed', reasons: [] });
  });

  it.runIf(isWhole)('of SVIDs that end', async () => {
    expect(await perform('svidExpiry', { subject: 'aws' })).toMatchObject({ verdict: 'passed', reasons: [] });
  });

  it.runIf(isWhole && isolation === 'namespaces')(
    'of an intermediate CA that ends',
    async () => {
      expect(await perform('intermediateExpiry', { subject: 'gcp' })).toMatchObject({ verdict: 'passed', reasons: [] });
    },
    15 * 60_000,
  );
});

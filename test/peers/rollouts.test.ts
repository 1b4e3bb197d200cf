// Agents rolled out in waves over a trust domain that runs in both clouds: another runtime by Run Command and by the instances' metadata, one that does not
// start, and the way back. Workloads keep their connections' identities all the while.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureArtifact } from '../../workers/pack/artifact.ts';
import { version } from '../../runtime/agent/version.ts';
import type { KeptRollOutReport } from '../../workflows/rollout/roll-out-in-waves.ts';
import type { RollOutProgress } from '../../workflows/rollout/rollout-progress.ts';
import { findSecrets } from '../replay/secret-shapes.ts';
import { fetchHistoryTree } from '../replay/history-tree.ts';
import { spec } from '../support/specs.ts';
import { eventually, output } from './support/processes.ts';
import { root } from './support/programs.ts';
import { growDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
let domain: RunningDomain;
let client: Client;
let archives: string;

beforeAll(async () => {
  domain = stage.add(await growDomain(stage.directory, { state: join(root, '.espalier/peers/rollouts') }));
  const { temporal } = domain.summary;
  const connection = await Connection.connect({ address: temporal.address });
  stage.add({ stop: () => connection.close() });
  client = new Client({ connection, namespace: temporal.namespace });
  archives = join(stage.directory, 'archives');
  mkdirSync(archives);
});
afterAll(() => stage.strike());

const asked = { spec, requester: 'tests', reason: 'a test' };

async function roll(
  request: object,
  during: (
    progress: () => Promise<RollOutProgress>,
    signal: (name: string) => Promise<void>,
  ) => Promise<void> = async () => undefined,
) {
  const handle = await client.workflow.start('rollOutAgents', {
    args: [{ ...asked, ...request }],
    taskQueue: 'control',
    workflowId: `rollOutAgents/${domain.summary.trustDomain}`,
  });
  await during(
    () => handle.query('progress'),
    (name) => handle.signal(name),
  );
  const report = (await handle.result()) as KeptRollOutReport;
  const histories = await fetchHistoryTree(client.workflow, handle);
  expect(histories.flatMap(({ history }) => findSecrets(history))).toEqual([]);
  return report;
}

/** The runtime that the nodes have, changed by a shell command in its directory; served on loopback. */
async function archiveWith(name: string, change: string): Promise<{ url: string; sha256: string; version: string }> {
  const directory = join(archives, name);
  mkdirSync(directory);
  const file = join(archives, `${name}.tar.gz`);
  await output('tar', ['-xzf', ensureArtifact(root, join(root, '.espalier/artifact')).file, '-C', directory], {
    timeoutMs: 120_000,
  });
  await output('sh', ['-ec', change], { cwd: directory });
  await output('tar', ['-czf', file, '-C', directory, '.'], { timeoutMs: 120_000 });
  const bytes = readFileSync(file);
  const server = createServer((_, response) => response.end(bytes));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stage.add({ stop: async () => void server.close() });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${name}.tar.gz`,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    version,
  };
}

/** Agents that run the runtime with that digest, by the kernel. */
function agentsOf(sha256: string): number {
  const commands = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return ''; // it has ended
      }
    });
  return commands.filter((command) => command.includes(`/${sha256}/runtime/agent/cli/main.ts run`)).length;
}

async function allServe(): Promise<void> {
  await Promise.all(
    domain.summary.agents.map(({ name, workloadApiSocket }) =>
      eventually(`the agent of ${name}`, () =>
        output(join(root, 'bin/spire-agent'), ['healthcheck', '-socketPath', workloadApiSocket]),
      ),
    ),
  );
}

describe('a rollout over both clouds', () => {
  let next: Awaited<ReturnType<typeof archiveWith>>;

  it('finds nothing to do where every node was made with what is asked for', async () => {
    const report = await roll({});
    expect(report).toMatchObject({
      outcome: 'nothing to do',
      segments: [
        { segment: 'gcp', total: 2, current: 2 },
        { segment: 'aws', total: 2, current: 2 },
      ],
    });
  });

  it('puts another runtime on every node, a canary of each cloud first, and the fleet says that it is healthy', async () => {
    next = await archiveWith('next', 'echo 2 > release-two');
    const report = await roll({ artifact: next, policy: { maxUnavailable: 1 } });
    expect(report).toMatchObject({ outcome: 'rolled out', rolled: 4, failed: [], plannedWaves: [2, 1, 1] });
    process.stderr.write(
      `rollouts: waves of ${report.waves.map(({ nodes, seconds }) => `${nodes} in ${seconds} s`).join(', ')}\n`,
    );
    expect(agentsOf(next.sha256)).toBe(domain.summary.agents.length);
    await allServe();
    expect(JSON.parse(readFileSync(report.file, 'utf8'))).toMatchObject({ outcome: 'rolled out' });
    expect((await roll({ artifact: next })).outcome).toBe('nothing to do');
  });

  it('stops at a runtime that does not start, whose nodes put the one before back by themselves', async () => {
    const broken = await archiveWith('broken', 'echo "process.exit(1);" > runtime/agent/cli/main.ts');
    const report = await roll({ artifact: broken, policy: { maxUnavailable: 1 } }, async (progress, signal) => {
      const held = await eventually(
        'the decision',
        async () => {
          const { waitingFor, failed } = await progress();
          if (waitingFor?.includes('a decision: 2 nodes failed') !== true)
            throw new Error(`waiting for ${waitingFor ?? 'nothing'}`);
          return failed;
        },
        240_000,
      );
      expect(held.map(({ what }) => what.includes('the agent is back with the release before'))).toEqual([true, true]);
      await signal('rollBack');
    });
    expect(report).toMatchObject({ outcome: 'rolled back', rolled: 0 });
    expect([agentsOf(broken.sha256), agentsOf(next.sha256)]).toEqual([0, domain.summary.agents.length]);
    await allServe();
  });

  it('takes back what it changed when somebody says so', async () => {
    const third = await archiveWith('third', 'echo 3 > release-three');
    const report = await roll(
      { artifact: third, policy: { maxUnavailable: 1, soak: '10s' } },
      async (progress, signal) => {
        await eventually(
          'the first wave',
          async () => {
            const { waitingFor } = await progress();
            if (waitingFor?.includes('looking at wave 1') !== true)
              throw new Error(`waiting for ${waitingFor ?? 'nothing'}`);
          },
          120_000,
        );
        await signal('rollBack');
      },
    );
    expect(report).toMatchObject({ outcome: 'rolled back', rolled: 2, failed: [] });
    expect([agentsOf(third.sha256), agentsOf(next.sha256)]).toEqual([0, domain.summary.agents.length]);
    await allServe();
  });

  it('refuses agents that are newer than their servers', async () => {
    const newer = { ...next, version: '9.0.0' };
    await expect(roll({ artifact: newer })).rejects.toMatchObject({
      cause: { type: 'Blocked', message: expect.stringContaining('agents are never newer') as string },
    });
  });
});

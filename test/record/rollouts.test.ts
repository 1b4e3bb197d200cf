// Records rollouts of agents on fake clouds: each way that one can end.
import { afterAll, beforeAll, describe } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import type { RollOutProgress } from '../../workflows/rollout/rollout-progress.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { record } from './recording.ts';
import type { Stage } from './recording.ts';

let started: TestTemporal;
beforeAll(async () => {
  started = await startTestTemporal();
});
afterAll(() => started.close());

const artifact = { url: 'http://127.0.0.1:1/new.tar.gz', sha256: 'ab'.repeat(32), version: '0.1.0' };
const keep = ['rollOutAgents'];

async function waiting(handle: WorkflowHandle, words: string): Promise<RollOutProgress> {
  for (;;) {
    const progress = await handle.query<RollOutProgress>('progress').catch(() => undefined); // it may not have begun
    if (progress?.waitingFor?.includes(words) === true) return progress;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface Case {
  readonly name: string;
  readonly request?: object;
  /** Nodes in each cloud. */
  readonly nodes?: number;
  readonly before?: (stage: Stage) => void;
  readonly during?: (handle: WorkflowHandle, stage: Stage) => Promise<void>;
}

const one = { maxUnavailable: 1 };
const cases: readonly Case[] = [
  { name: 'rolled-out', request: { policy: one } },
  { name: 'rollout-with-nothing-to-do', nodes: 0 },
  { name: 'rollout-rehearsed', request: { dryRun: true } },
  { name: 'rollout-blocked', request: { artifact: { ...artifact, version: '9.0.0' } } },
  { name: 'rollout-refused', request: { policy: { canary: -1 } } },
  {
    name: 'rollout-approved',
    request: { policy: { ...one, approvals: 'named' } },
    async during(handle) {
      const { planDigest } = await waiting(handle, 'approval');
      const approval = { planDigest, gate: 'action', approver: 'somebody', reason: 'tested' };
      await handle.executeUpdate<string, [object]>('approve', { args: [approval] });
    },
  },
  {
    name: 'rollout-held-and-resumed',
    request: { policy: one },
    before: ({ world }) => void world.nodes.failing.add('gcp-node-1'),
    async during(handle, { world }) {
      await waiting(handle, 'a decision');
      world.nodes.failing.clear();
      await handle.signal('resume');
    },
  },
  {
    name: 'rollout-held-for-silent-agents',
    request: { policy: { ...one, canary: 0 } },
    before: ({ world }) => void (world.nodes.silent = 1),
    async during(handle) {
      await waiting(handle, 'a decision');
      await handle.signal('resume');
    },
  },
  {
    name: 'rolled-back-by-its-policy',
    request: { policy: { ...one, onFailure: 'roll back' } },
    before: ({ world }) => void world.nodes.unhealthy.add('aws-node-1'),
  },
  {
    name: 'rolled-back-by-a-person',
    request: { policy: { ...one, soak: '500ms' } },
    async during(handle) {
      await waiting(handle, 'looking at wave 1');
      await handle.signal('rollBack', 'it leaks');
    },
  },
  {
    name: 'rollout-aborted',
    request: { policy: { ...one, soak: '500ms' } },
    async during(handle) {
      await waiting(handle, 'looking at wave 1');
      await handle.signal('abort', 'enough');
    },
  },
  {
    name: 'rollout-gone-on-with',
    request: { policy: { ...one, mayFail: 1 } },
    nodes: 21,
    before: ({ world }) => void world.nodes.failing.add('gcp-node-3'),
  },
];

describe('rollOutAgents', () => {
  for (const { name, request, nodes = 2, before, during } of cases) {
    record(
      () => started,
      { name, keep },
      async (stage) => {
        const { world, start } = stage;
        for (const server of ['gcp instance upstream-0', 'gcp instance gcp-server-0', 'aws instance aws-server-0'])
          world.put(server);
        for (let i = 0; i < nodes; i += 1)
          for (const cloud of ['gcp', 'aws']) world.put(`${cloud} instance ${cloud}-node-${i}`);
        before?.(stage);
        const segments = spec.segments.map((segment) => ({ ...segment, nodes: Math.max(1, nodes) }));
        const asked = { ...spec, trustDomain: `${name}.example.org`, segments };
        const handle = await start('rollOutAgents', { topology: undefined, spec: asked, artifact, ...request });
        await during?.(handle, stage);
        return handle;
      },
    );
  }
});

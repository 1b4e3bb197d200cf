// Records updates of a living trust domain on fake clouds: each way that one can end. The domain is grown by a bootstrap, which is not kept.
import { afterAll, beforeAll, describe } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { clusteredSpec, spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { record } from './recording.ts';
import type { Stage } from './recording.ts';

let started: TestTemporal;
beforeAll(async () => {
  started = await startTestTemporal();
});
afterAll(() => started.close());

const [gcp, aws] = spec.segments;
const west = { ...aws, name: 'west', region: 'us-west-2', nodes: 1 };
const workload = {
  ...{ segment: 'gcp', environment: 'prod', team: 'demo', name: 'workload-c' },
  selectors: ['unix:path:{image}/opt/demo/workload-c'],
};
const larger = {
  segments: [{ ...gcp, servers: 2, nodes: 3 }, aws, west],
  workloads: [...spec.workloads, workload],
};
const smaller = { segments: [{ ...gcp, nodes: 1 }], workloads: spec.workloads.slice(0, 1) };
const clustered = clusteredSpec();
const [shop] = clustered.clusters;
/** Another image, one server less, another workload. */
const otherwise = {
  clusters: [{ ...shop, servers: 1, image: 'espalier-runtime:0.2.0' }],
  workloads: [
    ...spec.workloads,
    { segment: 'shop', environment: 'prod', team: 'demo', name: 'stock', selectors: ['k8s:sa:stock'] },
  ],
};
const keep = ['updateTrustDomain', 'trustChange'];
const unasked = { policy: { approvals: 'none' } };

async function approve(stage: Stage): Promise<void> {
  const { change } = await stage.waitingFor('approval');
  const approval = { planDigest: change?.planDigest, gate: 'action', approver: 'somebody', reason: 'wanted' };
  await stage.change.executeUpdate<string, [object]>('approve', { args: [approval] });
}

interface Case {
  readonly name: string;
  /** Over and above the repository's own, what is there before. */
  readonly grown?: object;
  readonly keep?: readonly string[];
  readonly spec?: object;
  readonly request?: object;
  readonly during?: (stage: Stage, handle: WorkflowHandle) => Promise<void>;
  readonly before?: (stage: Stage) => void;
}

const cases: readonly Case[] = [
  { name: 'update-of-nothing', keep: ['updateTrustDomain'] },
  { name: 'update-rehearsed', keep: ['updateTrustDomain'], spec: larger, request: { dryRun: true } },
  { name: 'update-that-adds', spec: larger },
  { name: 'update-that-takes-away', spec: smaller, during: approve },
  { name: 'update-blocked', spec: { upstream: { cloud: 'gcp', region: 'europe-west1' } } },
  {
    name: 'update-undone',
    spec: larger,
    before: ({ world }) => void (world.failing = { call: 'control waitForWorkload', type: 'InvalidRequest' }),
  },
  {
    name: 'update-incomplete',
    spec: smaller,
    request: unasked,
    before: ({ world }) => void (world.refusing = 'aws removeDatastore'),
  },
  // Above are runs that began before what is taken away was proven, and what is left of segments was looked for.
  { name: 'update-proven', spec: smaller, during: approve },
  {
    name: 'update-paused-while-narrowing',
    spec: smaller,
    request: unasked,
    async during(stage) {
      const removal = stage.hold('control deleteEntries');
      await stage.called('control deleteEntries');
      await stage.change.signal('pause');
      await stage.change.signal('abort', 'too late');
      removal.letGo();
      await stage.change.signal('resume');
    },
  },
  {
    name: 'update-takes-what-is-left',
    before: ({ world }) => ['gcp identity node-old', 'gcp secret old'].forEach((thing) => world.put(thing)),
    request: unasked,
  },
  { name: 'update-beside-a-cluster', grown: clustered, spec: { ...clustered, segments: [{ ...gcp, nodes: 3 }, aws] } },
  {
    name: 'update-blocked-by-a-cluster',
    grown: clustered,
    spec: { ...clustered, clusters: clustered.clusters.map((one) => ({ ...one, servers: 3 })) },
  },
  // Above are runs that began before clusters could be changed.
  { name: 'update-that-changes-a-cluster', grown: clustered, spec: otherwise, request: unasked },
  { name: 'update-that-takes-a-cluster', grown: clustered, spec: { clusters: undefined }, during: approve },
  {
    name: 'update-of-a-cluster-undone',
    grown: clustered,
    spec: otherwise,
    request: unasked,
    before: ({ world }) => void (world.failing = { call: 'kubernetes waitForClusterAgents', type: 'InvalidRequest' }),
  },
  {
    name: 'update-of-a-cluster-incomplete',
    grown: clustered,
    spec: otherwise,
    request: unasked,
    before: ({ world }) => void (world.refusing = 'kubernetes removeClusterServers'),
  },
  {
    name: 'update-aborted',
    spec: smaller,
    async during(stage) {
      await stage.waitingFor('approval');
      await stage.change.signal('abort', 'not today');
    },
  },
];

describe('updateTrustDomain', () => {
  for (const { name, grown, keep: kept = keep, spec: changed, request, during, before } of cases) {
    record(
      () => started,
      { name, keep: kept, ...(grown === undefined ? {} : { spec: grown }) },
      async (stage) => {
        const { start } = stage;
        await (await start('bootstrapTrustDomain')).result();
        before?.(stage);
        const asked = { ...spec, trustDomain: `${name}.example.org`, ...changed };
        const handle = await start('updateTrustDomain', { topology: undefined, spec: asked, ...request });
        await during?.(stage, handle);
        return handle;
      },
    );
  }
});

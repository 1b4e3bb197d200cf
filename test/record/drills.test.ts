// Records drills on a fake world: each as it passes, and one as it fails, is aborted, cannot be mended, is rehearsed and is refused.
import { afterAll, beforeAll } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { drillPolicy, drillStories, stand } from '../support/drill-stories.ts';
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
const temporal = (): TestTemporal => started;
const keep = ['drill', 'trustChange'];

const trustDomainOf = (name: string): string => `${name.toLowerCase()}.example.org`;

async function begin({ start, world }: Stage, name: string, drill: string, more: object = {}): Promise<WorkflowHandle> {
  const trustDomain = trustDomainOf(name);
  stand(world, trustDomain);
  const request = { topology: undefined, spec: { ...spec, trustDomain }, drill, requester: 'somebody', reason: 'a record' }; // prettier-ignore
  return start('drill', { ...request, policy: drillPolicy, ...more });
}

async function broken({ world }: Stage): Promise<void> {
  while (world.drills.broken.size === 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

for (const { drill, subject, prepare } of drillStories) {
  const name = `drill-${drill}-passed`;
  record(temporal, { name, keep }, (stage) => {
    prepare?.(stage.world);
    return begin(stage, name, drill, { subject: subject?.(trustDomainOf(name)) ?? '' });
  });
}

record(temporal, { name: 'drill-failed', keep }, (stage) => {
  stage.world.drills.suffers.add('mtls');
  return begin(stage, 'drill-failed', 'downstreamServerDown');
});

record(temporal, { name: 'drill-aborted', keep }, async (stage) => {
  const handle = await begin(stage, 'drill-aborted', 'upstreamUnreachable', {
    policy: { ...drillPolicy, hold: '10m' },
  });
  await broken(stage);
  await stage.change.signal('abort', 'enough');
  return handle;
});

/** In the middle of its hold. */
async function terminated(stage: Stage, name: string): Promise<{ drill: WorkflowHandle; mending: WorkflowHandle }> {
  const drill = await begin(stage, name, 'svidExpiry', { policy: { ...drillPolicy, hold: '10m' } });
  await broken(stage);
  const { runId } = await stage.change.describe();
  await stage.change.terminate('enough');
  const mending = stage.change.client.getHandle(`mendAfterDrill/${trustDomainOf(name)}/${runId}/0`);
  return { drill, mending };
}

record(
  temporal,
  { name: 'drill-terminated', keep },
  async (stage) => (await terminated(stage, 'drill-terminated')).drill,
);

record(temporal, { name: 'drill-mended-after-its-end', keep: ['mendAfterDrill', 'trustChange'] }, async (stage) => {
  stage.world.drills.svidMs = 1_000;
  return (await terminated(stage, 'drill-mended-after-its-end')).mending;
});

record(temporal, { name: 'drill-not-mended-after-its-end', keep: ['mendAfterDrill'] }, async (stage) => {
  stage.world.failing = { call: 'control removeFault', type: 'PermissionDenied' };
  return (await terminated(stage, 'drill-not-mended-after-its-end')).mending;
});

record(temporal, { name: 'drill-ended-by-itself', keep: ['mendAfterDrill'] }, async (stage) => {
  const drill = await begin(stage, 'drill-ended-by-itself', 'downstreamServerDown');
  await broken(stage);
  const { runId } = await stage.change.describe();
  await drill.result();
  return stage.change.client.getHandle(`mendAfterDrill/${trustDomainOf('drill-ended-by-itself')}/${runId}/0`);
});

record(temporal, { name: 'drill-not-mended', keep }, (stage) => {
  stage.world.failing = { call: 'control removeFault', type: 'PermissionDenied' };
  return begin(stage, 'drill-not-mended', 'downstreamServerDown');
});

record(temporal, { name: 'drill-rehearsed', keep: ['drill'] }, (stage) =>
  begin(stage, 'drill-rehearsed', 'crossPlatformTrust', { dryRun: true }),
);

record(temporal, { name: 'drill-refused', keep: ['drill'] }, (stage) =>
  begin(stage, 'drill-refused', 'downstreamServerDown', { subject: 'nowhere' }),
);

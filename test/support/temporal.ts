// A Temporal dev server for one test file, with the search attributes that our workflows set, and workers of every task queue on a fake world.
import { fileURLToPath } from 'node:url';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { WorkflowBundlePath } from '@temporalio/worker';
import type { Cloud } from '../../activities/spec/trust-domain-spec.ts';
import { ensureWorkflowBundle } from '../../workers/pack/workflow-bundle.ts';
import { findTemporal } from '../../workers/up/temporal.ts';
import { provisionPhase, spiffeTrustDomain } from '../../workflows/lib/search-attributes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The activities of every task queue: of a fake world, or the real ones. */
export interface World {
  control(): object;
  /** Left out where there are no clouds. */
  cloud?(cloud: Cloud): object;
  /** Left out where there are no clusters. */
  kubernetes?(): object;
}

export interface TestTemporal {
  readonly environment: TestWorkflowEnvironment;
  /** Runs workers on a world while `act` runs. */
  withWorkers<T>(world: World, act: () => Promise<T>, options?: { replayAlways: boolean }): Promise<T>;
  close(): Promise<void>;
}

/** `bundle`: the workflows with something of a test's own around them. */
export async function startTestTemporal(bundle?: WorkflowBundlePath): Promise<TestTemporal> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const { path } = await findTemporal(`${root}/.espalier/temporal`);
  const environment = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path },
      searchAttributes: [spiffeTrustDomain, provisionPhase],
    },
  });
  const workflowBundle = bundle ?? (await bundleWorkflows());
  return {
    environment,
    async withWorkers(world, act, { replayAlways } = { replayAlways: false }) {
      const shared = { connection: environment.nativeConnection, namespace: environment.namespace ?? 'default' };
      // Without a cache every workflow task replays from the start, as after a worker's death.
      const caching = replayAlways ? { maxCachedWorkflows: 0 } : {};
      const [control, ...clouds] = await Promise.all([
        Worker.create({
          ...shared,
          taskQueue: 'control',
          workflowBundle,
          activities: world.control(),
          ...caching,
        }),
        ...(['gcp', 'aws', 'kubernetes'] as const).flatMap((taskQueue) => {
          const activities = taskQueue === 'kubernetes' ? world.kubernetes?.() : world.cloud?.(taskQueue);
          return activities === undefined ? [] : [Worker.create({ ...shared, taskQueue, activities })];
        }),
      ]);
      const others = clouds.map((worker) => worker.run());
      try {
        return await control.runUntil(act);
      } finally {
        for (const worker of clouds) worker.shutdown();
        await Promise.all(others);
      }
    },
    close: () => environment.teardown(),
  };
}

/** The same bundle as the workers run. */
export function bundleWorkflows(): Promise<{ codePath: string }> {
  return ensureWorkflowBundle(root);
}

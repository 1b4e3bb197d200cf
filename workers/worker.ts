// A worker process of one task queue: `worker.ts --queue control|aws|gcp|kubernetes`. Runs until SIGTERM, then lets what it does come to an end.
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker } from '@temporalio/worker';
import { activitiesOf, taskQueues } from './activities.ts';
import { ensureWorkflowBundle } from './pack/workflow-bundle.ts';
import { keepAlive } from './keep-alive.ts';
import { parseSettings } from './settings.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { queue: { type: 'string' } } });
const queue = taskQueues.find((name) => name === values.queue);
if (queue === undefined) {
  process.stderr.write(`usage: worker.ts --queue ${taskQueues.join('|')}\n`);
  process.exit(2);
}

const { connectionOptions, namespace } = loadClientConnectConfig();
const connection = await NativeConnection.connect(connectionOptions);
try {
  const worker = await Worker.create({
    connection,
    namespace: namespace ?? 'default',
    taskQueue: queue,
    activities: activitiesOf(queue, parseSettings(process.env)),
    interceptors: { activity: [keepAlive] },
    // Workflows run on `control` only; the clouds' workers hold credentials and run nothing but their activities.
    ...(queue === 'control' ? { workflowBundle: await ensureWorkflowBundle(root) } : {}),
    shutdownGraceTime: '2 seconds',
    shutdownForceTime: '5 seconds',
  });
  await worker.run();
} finally {
  await connection.close();
}

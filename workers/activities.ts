// Which activities the workers of a task queue run, with what they depend on: the composition root.
import { join } from 'node:path';
import { createControlActivities } from '../activities/control/control-activities.ts';
import { createCloudActivities } from '../activities/cloud/cloud-activities.ts';
import { createWorkerSource } from '../activities/control/worker-source.ts';
import { createDatastore } from '../activities/clients/postgres.ts';
import { failure } from '../activities/failures.ts';
import { createInfrastructure } from '../activities/infrastructure.ts';
import type { CloudActivities, ControlActivities } from '../activities/inputs.ts';
import type { TrustActivities } from '../activities/trust/rotation.ts';
import { createRunbookActivities } from '../activities/runbooks/runbook-activities.ts';
import type { RunbookActivities } from '../activities/runbooks/runbook.ts';
import { createTrustActivities } from '../activities/trust/trust-activities.ts';
import type { WorkerSettings } from './settings.ts';

/** Named for what their workers may touch. */
export const taskQueues = ['control', 'aws', 'gcp'] as const;
export type TaskQueue = (typeof taskQueues)[number];

export function activitiesOf(
  queue: TaskQueue,
  settings: WorkerSettings,
): (ControlActivities & TrustActivities & RunbookActivities) | CloudActivities {
  const infrastructure = createInfrastructure({ labFile: settings.ESPALIER_LAB_FILE, real: realClouds(settings) });
  if (queue !== 'control') {
    const adminUrl = settings.ESPALIER_DATABASE_ADMIN_URL;
    return createCloudActivities({
      client: (kind) => infrastructure.client(queue, kind),
      datastore() {
        if (adminUrl === undefined) throw failure('InvalidRequest', 'this worker has no ESPALIER_DATABASE_ADMIN_URL');
        return createDatastore(adminUrl);
      },
      authorityDirectory: settings.ESPALIER_UPSTREAM_AUTHORITY_DIRECTORY,
      clock: Date.now,
    });
  }
  const source = createWorkerSource(settings.ESPALIER_WORKLOAD_SOCKET);
  const control = createControlActivities({
    artifact: { url: settings.ESPALIER_ARTIFACT_URL, sha256: settings.ESPALIER_ARTIFACT_SHA256 },
    infrastructure,
    identity: {
      directory: settings.ESPALIER_WORKER_DIRECTORY,
      socketPath: settings.ESPALIER_WORKLOAD_SOCKET,
      // The worker's own program and user: `up` gives it a program file of its own, which nothing else on the machine runs.
      selectors: [`unix:uid:${process.getuid?.() ?? 0}`, `unix:path:${process.execPath}`],
      clock: Date.now,
    },
    source,
    clock: Date.now,
  });
  const trust = {
    source,
    planOf: (spec: unknown) => control.planTrustDomain({ spec }),
    reportDirectory: settings.ESPALIER_REPORT_DIRECTORY ?? join(settings.ESPALIER_WORKER_DIRECTORY, 'reports'),
    clock: Date.now,
  };
  return { ...control, ...createTrustActivities(trust), ...createRunbookActivities(trust) };
}

function realClouds(settings: WorkerSettings) {
  const { ESPALIER_AWS_ACCOUNT, ESPALIER_AWS_IMAGE, ESPALIER_GCP_PROJECT, ESPALIER_GCP_IMAGE } = settings;
  if (ESPALIER_AWS_ACCOUNT === undefined || ESPALIER_AWS_IMAGE === undefined) return undefined;
  if (ESPALIER_GCP_PROJECT === undefined || ESPALIER_GCP_IMAGE === undefined) return undefined;
  return {
    awsAccount: ESPALIER_AWS_ACCOUNT,
    awsImageId: ESPALIER_AWS_IMAGE,
    gcpProject: ESPALIER_GCP_PROJECT,
    gcpImage: ESPALIER_GCP_IMAGE,
  };
}

// Which activities the workers of a task queue run, with what they depend on: the composition root.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createControlActivities } from '../activities/control/control-activities.ts';
import { createClusterActivities } from '../activities/clusters/cluster-activities.ts';
import type { ClusterActivities } from '../activities/clusters/cluster.ts';
import { createCloudActivities } from '../activities/cloud/cloud-activities.ts';
import { createWorkerSource } from '../activities/control/worker-source.ts';
import { sharedDatabaseServer } from '../activities/cloud/database-servers.ts';
import { failure } from '../activities/failures.ts';
import { createInfrastructure } from '../activities/infrastructure.ts';
import type { CrossplaneChoice } from '../activities/infrastructure.ts';
import { createObjects } from '../activities/clients/crossplane/kubernetes-objects.ts';
import { createKubernetesConnection, listContexts } from '../activities/clients/kubernetes/connection.ts';
import { createKubernetesApi } from '../activities/clients/kubernetes/kubernetes-api.ts';
import type { CloudActivities, ControlActivities } from '../activities/inputs.ts';
import type { TrustActivities } from '../activities/trust/rotation.ts';
import { createDrillActivities } from '../activities/drills/drill-activities.ts';
import type { DrillActivities } from '../activities/drills/drill.ts';
import { createRunbookActivities } from '../activities/runbooks/runbook-activities.ts';
import type { RunbookActivities } from '../activities/runbooks/runbook.ts';
import { createTrustActivities } from '../activities/trust/trust-activities.ts';
import { createRollOutActivities } from '../activities/rollout/rollout-activities.ts';
import { createUpdateActivities } from '../activities/update/update-activities.ts';
import type { UpdateActivities } from '../activities/update/update.ts';
import type { RollOutActivities } from '../activities/rollout/rollout.ts';
import type { WorkerSettings } from './settings.ts';

/** Named for what their workers may touch. */
export const taskQueues = ['control', 'aws', 'gcp', 'kubernetes'] as const;
export type TaskQueue = (typeof taskQueues)[number];

export function activitiesOf(
  queue: TaskQueue,
  settings: WorkerSettings,
):
  | (ControlActivities & TrustActivities & RunbookActivities & RollOutActivities & UpdateActivities & DrillActivities)
  | CloudActivities
  | ClusterActivities {
  if (queue === 'kubernetes') {
    const contexts = () => listContexts(settings.ESPALIER_KUBECONFIG);
    return createClusterActivities({ api: clusterApi(settings), contexts, clock: Date.now });
  }
  const infrastructure = createInfrastructure({
    labFile: settings.ESPALIER_LAB_FILE,
    real: realClouds(settings),
    crossplane: crossplaneOf(settings),
  });
  if (queue !== 'control') {
    const adminUrl = settings.ESPALIER_DATABASE_ADMIN_URL;
    return createCloudActivities({
      client: (kind) => infrastructure.client(queue, kind),
      async databaseServers(kind) {
        if (kind === 'crossplane') return infrastructure.databaseServers(queue);
        if (adminUrl === undefined) throw failure('InvalidRequest', 'this worker has no ESPALIER_DATABASE_ADMIN_URL');
        return sharedDatabaseServer(adminUrl);
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
  return {
    ...control,
    ...createTrustActivities(trust),
    ...createRunbookActivities(trust),
    ...createUpdateActivities(trust),
    ...createDrillActivities({ ...trust, infrastructure }),
    ...createRollOutActivities({ ...trust, version: settings.ESPALIER_ARTIFACT_VERSION ?? ownVersion() }),
  };
}

/** The cluster that this worker runs in, or one of its kubeconfig; a specification names it and holds no credentials. */
function clusterApi({ ESPALIER_KUBECONFIG: kubeconfig }: WorkerSettings) {
  return (context: string | undefined) => {
    if (context !== undefined && kubeconfig === undefined)
      throw failure(
        'InvalidRequest',
        `this worker has no ESPALIER_KUBECONFIG, and so no context ${JSON.stringify(context)}`,
      );
    return createKubernetesApi(createKubernetesConnection(context === undefined ? {} : { kubeconfig, context }));
  };
}

/** Of this very installation. */
function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
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

function crossplaneOf(settings: WorkerSettings): CrossplaneChoice | undefined {
  const namespace = settings.ESPALIER_CROSSPLANE_NAMESPACE;
  if (namespace === undefined) return undefined;
  const [name = '', key = ''] = settings.ESPALIER_CROSSPLANE_PASSWORD_SECRET?.split('/') ?? [];
  return {
    providerConfig: settings.ESPALIER_CROSSPLANE_PROVIDER_CONFIG ?? 'default',
    gcpPassword: name === '' ? undefined : { name, key },
    sslMode: settings.ESPALIER_CROSSPLANE_SSLMODE ?? 'require',
    objects: createObjects(createKubernetesConnection({ kubeconfig: settings.ESPALIER_KUBECONFIG }), namespace),
  };
}

// How activities are called: on which task queue, how long an act may take, and how often it is tried. One row for each phase of a
// provisioning run; a worker that dies is noticed after the heartbeat timeout.
import { proxyActivities } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { ClusterActivities } from '../../activities/clusters/cluster.ts';
import type { CloudActivities, ControlActivities } from '../../activities/inputs.ts';
import type { DrillActivities } from '../../activities/drills/drill.ts';
import type { NodeActivities, RollOutActivities } from '../../activities/rollout/rollout.ts';
import type { RunbookActivities } from '../../activities/runbooks/runbook.ts';
import type { TrustActivities } from '../../activities/trust/rotation.ts';
import type { UpdateActivities } from '../../activities/update/update.ts';
import type { Cloud } from '../../activities/spec/trust-domain-spec.ts';

type Phase = 'infrastructure' | 'spire' | 'workloads' | 'validation' | 'removal';

function options(minutes: number, attempts: number, intervalSeconds: number): ActivityOptions {
  return {
    startToCloseTimeout: `${minutes} minutes`,
    heartbeatTimeout: '10 seconds',
    // Left out, an activity that is told to stop is not waited for, and what it still makes would come after its own undo.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { maximumAttempts: attempts, initialInterval: `${intervalSeconds} seconds`, backoffCoefficient: 1 },
  };
}

const table: Readonly<Record<Phase, ActivityOptions>> = {
  infrastructure: options(20, 3, 60),
  spire: options(10, 3, 30),
  workloads: options(5, 3, 15),
  validation: options(5, 2, 10),
  // An undo has no second chance later: it is tried longer.
  removal: options(10, 6, 10),
};

export function onControl(phase: Phase): ControlActivities {
  return proxyActivities<ControlActivities>({ ...table[phase], taskQueue: 'control' });
}

/** The queue of a cloud: its workers hold that cloud's credentials and no other's. */
export function onCloud(cloud: Cloud, phase: Phase): CloudActivities {
  return proxyActivities<CloudActivities>({ ...table[phase], taskQueue: cloud });
}

/** Its workers reach the clusters of a specification, and no cloud. */
export function onCluster(phase: Phase): ClusterActivities {
  return proxyActivities<ClusterActivities>({ ...table[phase], taskQueue: 'kubernetes' });
}

/** Where something is broken, what is not there is not waited for; asked a second time, as a worker that died is no answer. */
const once: ActivityOptions = {
  startToCloseTimeout: '20 seconds',
  heartbeatTimeout: '10 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { maximumAttempts: 2 },
};

export function onCloudOnce(cloud: Cloud): CloudActivities {
  return proxyActivities<CloudActivities>({ ...once, taskQueue: cloud });
}

export function onClusterOnce(): ClusterActivities {
  return proxyActivities<ClusterActivities>({ ...once, taskQueue: 'kubernetes' });
}

/** A wave of a rollout: as long as the slowest of its nodes. A worker that dies is followed by one that goes on with what the cloud was told. */
export function onNodes(cloud: Cloud): NodeActivities {
  return proxyActivities<NodeActivities>({
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: '30 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '30 seconds', maximumAttempts: 5 },
    taskQueue: cloud,
  });
}

export function onUpdate(): UpdateActivities {
  return proxyActivities<UpdateActivities>({
    startToCloseTimeout: '5 minutes',
    heartbeatTimeout: '10 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '15 seconds', maximumAttempts: 8 },
    taskQueue: 'control',
  });
}

export function onRollOut(): RollOutActivities {
  return proxyActivities<RollOutActivities>({
    startToCloseTimeout: '2 hours',
    heartbeatTimeout: '30 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '15 seconds', maximumAttempts: 10 },
    taskQueue: 'control',
  });
}

/** A runbook's looks are many, and one that fails is taken again by the next; its acts are safe to repeat. */
export function onRunbook(): RunbookActivities {
  return proxyActivities<RunbookActivities>({
    startToCloseTimeout: '5 minutes',
    heartbeatTimeout: '10 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '10 seconds', maximumAttempts: 5 },
    taskQueue: 'control',
  });
}

/** What a drill breaks and looks at: a look that fails is taken again at once, as the failure stands meanwhile. */
export function onDrill(): DrillActivities {
  return proxyActivities<DrillActivities>({
    startToCloseTimeout: '2 minutes',
    heartbeatTimeout: '10 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: {
      initialInterval: '500 milliseconds',
      backoffCoefficient: 2,
      maximumInterval: '5 seconds',
      maximumAttempts: 5,
    },
    taskQueue: 'control',
  });
}

/** Mending is tried for long: nobody else does it. */
export function onDrillMending(): DrillActivities {
  return proxyActivities<DrillActivities>({
    startToCloseTimeout: '1 minute',
    heartbeatTimeout: '10 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: {
      initialInterval: '500 milliseconds',
      backoffCoefficient: 2,
      maximumInterval: '5 seconds',
      maximumAttempts: 20,
    },
    taskQueue: 'control',
  });
}

/** As long as the drill: a worker that dies is followed by one that waits on. */
export function onDrillEnd(): Pick<DrillActivities, 'awaitEnd'> {
  return proxyActivities<DrillActivities>({
    startToCloseTimeout: '1 day',
    heartbeatTimeout: '10 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '5 seconds' },
    taskQueue: 'control',
  });
}

/** A change of trust is tried again until it is done, or until somebody ends it: half of it is worse than late. */
export function onTrust(): TrustActivities {
  return proxyActivities<TrustActivities>({
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '10 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '15 seconds' },
    taskQueue: 'control',
  });
}

/** What only looks fails soon, and says why. */
export function onTrustOnce(): TrustActivities {
  return proxyActivities<TrustActivities>({
    startToCloseTimeout: '2 minutes',
    heartbeatTimeout: '10 seconds',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', maximumAttempts: 3 },
    taskQueue: 'control',
  });
}

// What the kubelet tells of a pod, made of what its containers are doing.
import type { Container } from './container.ts';
import type { Condition, ContainerSpec, ContainerStatus, Pod, PodStatus } from './objects.ts';

/** One container of the specification, through all its starts. */
export interface Turn {
  readonly spec: ContainerSpec;
  readonly imageId: string;
  readonly isInit: boolean;
  container: Container | undefined;
  started: boolean;
  ready: boolean;
  restarts: number;
  /** Why it does not run. */
  waiting: { readonly reason: string; readonly message?: string } | undefined;
  ended: { readonly exitCode: number; readonly reason: string; readonly containerID: string } | undefined;
}

export interface Placement {
  readonly hostAddress: string;
  readonly address: string | undefined;
  readonly startTime: Date;
}

export function podStatus(pod: Pod, turns: readonly Turn[], { hostAddress, address, startTime }: Placement): PodStatus {
  const [inits, mains] = [turns.filter(({ isInit }) => isInit), turns.filter(({ isInit }) => !isInit)];
  const initialized = inits.every(({ ended, container }) => container === undefined && ended?.exitCode === 0);
  const ready = mains.every((turn) => turn.ready);
  const known = pod.status.conditions ?? [];
  const condition = (type: string, holds: boolean): Condition => {
    const status = holds ? 'True' : 'False';
    const before = known.find((one) => one.type === type && one.status === status);
    return before ?? { type, status, lastTransitionTime: new Date().toISOString() };
  };
  return {
    phase: phaseOf(pod, turns),
    hostIP: hostAddress,
    hostIPs: [{ ip: hostAddress }],
    startTime: startTime.toISOString(),
    ...(address !== undefined && { podIP: address, podIPs: [{ ip: address }] }),
    conditions: [
      condition('PodScheduled', true),
      condition('Initialized', initialized),
      condition('ContainersReady', initialized && ready),
      condition('Ready', initialized && ready),
    ],
    initContainerStatuses: inits.map(containerStatus),
    containerStatuses: mains.map(containerStatus),
  };
}

function phaseOf({ spec }: Pod, turns: readonly Turn[]): string {
  const mains = turns.filter(({ isInit }) => !isInit);
  if (mains.some(({ container }) => container !== undefined)) return 'Running';
  const policy = spec.restartPolicy ?? 'Always';
  const isOver = mains.every(({ ended }) => ended !== undefined && (policy === 'Never' || (policy === 'OnFailure' && ended.exitCode === 0))); // prettier-ignore
  if (isOver) return mains.every(({ ended }) => ended?.exitCode === 0) ? 'Succeeded' : 'Failed';
  return mains.some(({ ended }) => ended !== undefined) ? 'Running' : 'Pending';
}

function containerStatus({
  spec,
  imageId,
  container,
  started,
  ready,
  restarts,
  waiting,
  ended,
}: Turn): ContainerStatus {
  const { name, image } = spec;
  const containerID = container === undefined ? ended?.containerID : `containerd://${container.id}`;
  return {
    name,
    image,
    imageID: imageId,
    ...(containerID !== undefined && { containerID }),
    ready: container !== undefined && ready,
    started: container !== undefined && started,
    restartCount: restarts,
    state: stateOf(container, waiting, ended),
    lastState: ended !== undefined && restarts > 0 ? { terminated: ended } : {},
  };
}

function stateOf(container: Container | undefined, waiting: Turn['waiting'], ended: Turn['ended']): object {
  if (container !== undefined) return { running: { startedAt: container.startedAt.toISOString() } };
  if (waiting !== undefined) return { waiting };
  return ended === undefined ? { waiting: { reason: 'ContainerCreating' } } : { terminated: ended };
}

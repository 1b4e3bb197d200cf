// Whether a StatefulSet or a DaemonSet runs as it is wanted now, and if not, which of its pods keeps it waiting, why, and since when.
import type { AnyObject } from '../clients/kubernetes/resource-kinds.ts';
import { failure } from '../failures.ts';
import { nameOf } from './kinds.ts';

export interface PodSet extends AnyObject {
  readonly kind: 'StatefulSet' | 'DaemonSet';
  readonly spec?: { readonly replicas?: number; readonly selector?: { readonly matchLabels?: Labels } };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly numberReady?: number;
    readonly desiredNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
  };
}

export interface Pod extends AnyObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: { readonly exitCode?: number; readonly reason?: string };
  };
}

type Labels = Readonly<Record<string, string>>;

/** Of many pods this many are named. */
const mostNamed = 5;

/** Throws NotReady unless it runs; InvalidRequest where it never will. */
export function checkRunning(set: PodSet | undefined, what: string, pods: readonly Pod[]): void {
  if (set === undefined) throw failure('NotReady', `${what} is not there`);
  const { generation = 0, deletionTimestamp } = set.metadata;
  if (deletionTimestamp !== undefined) throw failure('NotReady', `${what} is being deleted since ${deletionTimestamp}`);
  const { observedGeneration = 0 } = set.status ?? {};
  if (observedGeneration < generation)
    throw failure(
      'NotReady',
      `${what} is of generation ${generation}, and its controller has seen ${observedGeneration}`,
    );
  const { ready, updated, wanted } = countsOf(set);
  if (wanted === 0) throw failure('NotReady', `${what}: no node of the cluster takes it`);
  if (ready >= wanted && updated >= wanted) return;
  const reasons = pods.flatMap((pod) => unreadinessOf(pod) ?? []);
  const named = reasons.slice(0, mostNamed).join('; ');
  const more = reasons.length > mostNamed ? `; and ${reasons.length - mostNamed} more` : '';
  const told = named === '' ? '' : `: ${named}${more}`;
  throw failure(
    pods.some(neverRuns) ? 'InvalidRequest' : 'NotReady',
    `${what}: ${ready} of ${wanted} pods are ready, ${updated} as they are wanted now${told}`,
  );
}

export function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
}

/** Undefined where it is ready. */
export function unreadinessOf(pod: Pod): string | undefined {
  if (isReady(pod)) return undefined;
  const { metadata, spec, status } = pod;
  const name = nameOf('pod', metadata);
  const at = spec?.nodeName === undefined ? '' : ` on ${spec.nodeName}`;
  if (metadata.deletionTimestamp !== undefined) return `${name}${at} is going since ${metadata.deletionTimestamp}`;
  const conditions = status?.conditions ?? [];
  const unmet =
    conditions.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False') ??
    conditions.find(({ type }) => type === 'Ready');
  const since = unmet?.lastTransitionTime ?? metadata.creationTimestamp ?? 'nobody knows when';
  const condition = unmet === undefined ? (status?.phase ?? 'Pending') : `${unmet.type} is ${unmet.status}`;
  const why = [unmet?.reason, unmet?.message].filter((part) => part !== undefined && part !== '').join(': ');
  const containers = (status?.containerStatuses ?? []).flatMap((container) => unreadyContainer(container) ?? []);
  return `${name}${at}: ${condition} since ${since}${why === '' ? '' : `, ${why}`}${containers.map((one) => `, ${one}`).join('')}`;
}

function unreadyContainer({ name, ready, restartCount = 0, state }: ContainerStatus): string | undefined {
  if (ready === true) return undefined;
  const { waiting, terminated } = state ?? {};
  const again = restartCount > 0 ? `, started again ${restartCount} times` : '';
  if (waiting !== undefined) {
    const said = waiting.message === undefined ? '' : ` (${waiting.message})`;
    return `container ${name} waits: ${waiting.reason ?? 'for no reason given'}${said}${again}`;
  }
  if (terminated !== undefined) return `container ${name} ended with ${terminated.exitCode ?? 'no code'}${again}`;
  return `container ${name} is not ready${again}`;
}

/** A reference that cannot be one is no better later. */
function neverRuns({ status }: Pod): boolean {
  return (status?.containerStatuses ?? []).some(({ state }) => state?.waiting?.reason === 'InvalidImageName');
}

function countsOf({ kind, spec, status = {} }: PodSet): { ready: number; updated: number; wanted: number } {
  if (kind === 'DaemonSet') {
    const { numberReady = 0, updatedNumberScheduled = 0, desiredNumberScheduled = 0 } = status;
    return { ready: numberReady, updated: updatedNumberScheduled, wanted: desiredNumberScheduled };
  }
  return { ready: status.readyReplicas ?? 0, updated: status.updatedReplicas ?? 0, wanted: spec?.replicas ?? 1 };
}

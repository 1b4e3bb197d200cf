// What the operator says of a claim: its part of the status, and an Event for each condition that has changed. Both come from what the object itself holds, so a
// restart repeats nothing.
import type { KubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import type { ResourceKind } from '../../activities/clients/kubernetes/resource-kinds.ts';
import type { Claim, ClaimObject, Condition, OperatorStatus } from './claim.ts';
import type { Verdict } from './decide.ts';

export const manager = 'espalier-operator';
/** Of messages of Events; the status has them whole up to the first. */
const longest = { status: 4_096, event: 1_024 } as const;

export interface Saying {
  readonly status: OperatorStatus;
  /** Conditions that are not as they were. */
  readonly changed: readonly Condition[];
}

export function composeStatus(
  claim: Claim,
  { conditions, status }: Pick<Verdict, 'conditions' | 'status'>,
  now: number,
): Saying {
  const before = claim.object.status?.espalier?.conditions ?? [];
  const stated = conditions.map((condition): Condition => {
    const old = before.find(({ type }) => type === condition.type);
    const isSame = old?.status === condition.status;
    return {
      ...condition,
      message: condition.message.slice(0, longest.status),
      observedGeneration: condition.observedGeneration ?? claim.generation,
      lastTransitionTime: isSame ? old.lastTransitionTime : new Date(now).toISOString(),
    };
  });
  const changed = stated.filter(({ type, status: is, reason }) => {
    const old = before.find((one) => one.type === type);
    return old?.status !== is || old.reason !== reason;
  });
  const last = stated.at(-1);
  return {
    status: {
      ...status,
      ...(last === undefined ? {} : { state: last.reason }),
      observedGeneration: claim.generation,
      conditions: stated,
    },
    changed,
  };
}

/** Whether there is anything in it that the object does not hold. */
export function isNews(claim: Claim, { status }: Saying): boolean {
  return canonical(claim.object.status?.espalier ?? {}) !== canonical(status);
}

/** The API server gives keys back in an order of its own. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

export async function writeStatus(
  api: KubernetesApi,
  kind: ResourceKind,
  claim: Claim,
  status: OperatorStatus,
): Promise<ClaimObject> {
  const { apiVersion, kind: name, metadata } = claim.object;
  const object = { apiVersion, kind: name, metadata: { name: metadata.name }, status: { espalier: status } };
  return api.apply<ClaimObject>(kind, object, { manager, force: true, subresource: 'status' });
}

export async function writeEvent(
  api: KubernetesApi,
  claim: Claim,
  { type, status, reason, message }: Condition,
  now: number,
): Promise<void> {
  const { apiVersion, kind, metadata } = claim.object;
  const { namespace, name, uid, resourceVersion } = metadata;
  const at = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  const isGood = status === 'True' || harmless.has(reason);
  await api.create(
    { group: '', version: 'v1', plural: 'events', namespace },
    {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: `${name}.`, namespace },
      involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
      reason,
      message: `${type}: ${message}`.slice(0, longest.event),
      type: isGood ? 'Normal' : 'Warning',
      source: { component: manager },
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    },
  );
}

/** Not true yet, as it goes. */
const harmless: ReadonlySet<string> = new Set(['Growing', 'Updating', 'WaitingForApproval', 'TearingDown', 'Undoing']);

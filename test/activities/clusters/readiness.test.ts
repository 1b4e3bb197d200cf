// What keeps a cluster's pods from being ready, in the words that an operator gets.
import { describe, expect, it } from 'vitest';
import { checkRunning } from '../../../activities/clusters/readiness.ts';
import type { Pod, PodSet } from '../../../activities/clusters/readiness.ts';

const since = '2026-11-27T08:00:00Z';
const metadata = { name: 'spire-server', namespace: 'spire-server', generation: 2 };
const set = (status: object, change: object = {}): PodSet => ({
  ...{ kind: 'StatefulSet', metadata, spec: { replicas: 2 } },
  status: { observedGeneration: 2, ...status },
  ...change,
});
const ready = { readyReplicas: 2, updatedReplicas: 2 };
const pod = (name: string, status: object, change: object = {}): Pod => ({
  metadata: { name, namespace: 'spire-server', creationTimestamp: since },
  status,
  ...change,
});
const isReady = pod('spire-server-1', { conditions: [{ type: 'Ready', status: 'True' }] });
const what = 'StatefulSet spire-server/spire-server';

function refusal(of: PodSet | undefined, pods: readonly Pod[] = []): unknown {
  try {
    checkRunning(of, what, pods);
  } catch (cause) {
    const { type, message } = cause as { type: string; message: string };
    return `${type}: ${message}`;
  }
  return 'runs';
}

describe('checkRunning', () => {
  it('is content when all pods are ready as they are wanted now', () => {
    expect(refusal(set(ready))).toBe('runs');
  });

  const partly = { readyReplicas: 1, updatedReplicas: 2 };
  const begin = `NotReady: ${what}: 1 of 2 pods are ready, 2 as they are wanted now`;
  it.each<[string, PodSet | undefined, readonly Pod[], string]>([
    ['there is none', undefined, [], `NotReady: ${what} is not there`],
    [
      'it is going',
      set(ready, { metadata: { ...metadata, deletionTimestamp: since } }),
      [],
      `NotReady: ${what} is being deleted since ${since}`,
    ],
    [
      'its controller has not seen it as it is',
      set({ ...ready, observedGeneration: 1 }),
      [],
      `NotReady: ${what} is of generation 2, and its controller has seen 1`,
    ],
    [
      'pods of an older kind are left',
      set({ readyReplicas: 2, updatedReplicas: 1 }),
      [isReady],
      `NotReady: ${what}: 2 of 2 pods are ready, 1 as they are wanted now`,
    ],
    [
      'no node takes an agent',
      set({}, { kind: 'DaemonSet' }),
      [],
      `NotReady: ${what}: no node of the cluster takes it`,
    ],
    [
      'a pod is on no node',
      set(partly),
      [
        isReady,
        pod('spire-server-0', {
          conditions: [
            {
              ...{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' },
              lastTransitionTime: since,
            },
          ],
        }),
      ],
      `${begin}: pod spire-server/spire-server-0: PodScheduled is False since ${since}, Unschedulable: 0/1 nodes`,
    ],
    [
      'a container ends again and again',
      set(partly),
      [
        pod(
          'spire-server-0',
          {
            conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: since }],
            containerStatuses: [
              { name: 'upstream-agent', ready: true },
              { name: 'spire-server', restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } },
            ],
          },
          { spec: { nodeName: 'a' } },
        ),
      ],
      `${begin}: pod spire-server/spire-server-0 on a: Ready is False since ${since}, container spire-server waits: CrashLoopBackOff, started again 3 times`,
    ],
    [
      'a pod says nothing yet',
      set(partly),
      [pod('spire-server-0', {})],
      `${begin}: pod spire-server/spire-server-0: Pending since ${since}`,
    ],
    [
      'a pod is going',
      set(partly),
      [pod('a', {}, { metadata: { name: 'a', deletionTimestamp: since } })],
      `${begin}: pod a is going since ${since}`,
    ],
  ])('says so where %s', (_name, of, pods, message) => {
    expect(refusal(of, pods)).toBe(message);
  });

  it('names five of many, and how many more', () => {
    const many = Array.from({ length: 7 }, (_, index) => pod(`p${index}`, {}));
    expect(refusal(set(partly), many)).toMatch(/pod spire-server\/p4: Pending since [^;]+; and 2 more$/);
  });

  it('is no wait where an image can never be one', () => {
    const hopeless = pod('a', {
      containerStatuses: [{ name: 'b', state: { waiting: { reason: 'InvalidImageName' } } }],
    });
    expect(refusal(set(partly), [hopeless])).toMatch(/^InvalidRequest: /);
  });
});

// The kubelet's pods, asked for at most once in an interval however many processes are being described: they wait for one answer together.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kubelet } from './kubelet.ts';
import type { Pod } from './pods.ts';

export interface PodListVersion {
  readonly number: number;
  readonly pods: readonly Pod[];
}

export interface PodList {
  /** One that is younger than the interval, and than the given number; rejects where the kubelet cannot be asked. */
  newerThan(number: number): Promise<PodListVersion>;
}

export interface PodListOptions {
  readonly kubelet: Kubelet;
  readonly intervalMs: number;
  readonly clock: () => number;
}

export function createPodList({ kubelet, intervalMs, clock }: PodListOptions): PodList {
  let latest: PodListVersion | undefined;
  let askedAt = -Infinity;
  let number = 0;
  let underWay: Promise<PodListVersion> | undefined;

  const ask = async (): Promise<PodListVersion> => {
    const waitMs = askedAt + intervalMs - clock();
    if (waitMs > 0) await sleep(waitMs);
    askedAt = clock();
    const pods = await kubelet.pods();
    latest = { number: (number += 1), pods };
    return latest;
  };

  return {
    newerThan(seen) {
      const isFresh = clock() - askedAt < intervalMs;
      if (latest !== undefined && latest.number > seen && isFresh && underWay === undefined)
        return Promise.resolve(latest);
      underWay ??= ask().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
  };
}

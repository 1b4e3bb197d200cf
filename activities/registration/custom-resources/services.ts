// Which services lead to which pods, as the cluster's own EndpointSlices say. Endpoints that are not ready count: a pod may need its name to become ready.
import type { EndpointSlice } from '../objects/kubernetes-objects.ts';

const serviceLabel = 'kubernetes.io/service-name';

/** By the pod's UID, names sorted. */
export function servicesOfPods(slices: readonly EndpointSlice[]): Map<string, string[]> {
  const services = new Map<string, Set<string>>();
  for (const { metadata, endpoints } of slices) {
    const service = metadata.labels?.[serviceLabel];
    if (service === undefined) continue;
    for (const { targetRef } of endpoints ?? []) {
      if (targetRef?.kind !== 'Pod' || targetRef.uid === undefined) continue;
      const names = services.get(targetRef.uid) ?? new Set();
      services.set(targetRef.uid, names.add(service));
    }
  }
  return new Map([...services].map(([uid, names]) => [uid, [...names].sort()]));
}

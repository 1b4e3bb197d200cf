// Workload attestor "k8s": the pod and the container that a process runs in, as the node's kubelet tells them.
import type { Logger } from '../../../log.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import { unlessAborted } from '../../unless-aborted.ts';
import type { WorkloadAttestor } from '../attestor.ts';
import { WorkloadAttestError } from '../attestor.ts';
import { locateContainer, userWhoNamed } from '../container-locator.ts';
import type { LocatedContainer } from '../container-locator.ts';
import type { K8sConfig } from './config.ts';
import { openKubelet } from './kubelet.ts';
import { openNamespaces } from './namespaces.ts';
import { podContainerIn } from './pod-container.ts';
import { createPodList } from './pod-list.ts';
import { containerSelectorValues, findContainer, podSelectorValues } from './pods.ts';
import type { Pod } from './pods.ts';

export interface K8sAttestorOptions extends K8sConfig {
  readonly log: Logger;
  readonly clock?: () => number;
  readonly procDirectory?: string;
}

const type = 'k8s';

interface Described {
  readonly namespace: string;
  readonly values: readonly string[];
}

/** Rejects where the files that prove who we are to the kubelet cannot be read. */
export async function createK8sAttestor(options: K8sAttestorOptions): Promise<WorkloadAttestor> {
  const { kubelet: config, log, clock = () => performance.now(), procDirectory } = options;
  const { maxPollAttempts, pollRetryIntervalMs: intervalMs, disableContainerSelectors } = options;
  if (config.secure && config.caPath === undefined)
    log.warn('Kubelet is not verified: whoever answers at its port decides which pod a process is in');
  const namespaces = options.apiServer && (await openNamespaces({ config: options.apiServer, intervalMs, clock }));
  const podList = createPodList({ kubelet: await openKubelet(config, clock), intervalMs, clock });
  const locator = {
    find: podContainerIn,
    readsMounts: true,
    ...(options.verboseContainerLocatorLogs ? { verboseLog: log } : {}),
    ...(procDirectory === undefined ? {} : { procDirectory }),
  };

  /** Undefined where the pod, or its container, is not there yet. */
  function describedIn(pods: readonly Pod[], { id, podUid }: LocatedContainer): Described | undefined {
    const candidates = podUid === undefined ? pods : pods.filter(({ metadata }) => metadata.uid === podUid);
    const described = candidates.flatMap((pod) => {
      const container = findContainer(pod, id);
      if (container === undefined && (!disableContainerSelectors || podUid === undefined)) return [];
      const ofContainer =
        container === undefined || disableContainerSelectors ? [] : containerSelectorValues(container);
      return [{ namespace: pod.metadata.namespace, values: [...podSelectorValues(pod), ...ofContainer] }];
    });
    if (described.length > 1)
      throw new WorkloadAttestError('CONTAINER', `container ${id} is in ${described.length} pods`);
    return described[0];
  }

  /** A pod that has just begun is not in the list at once, and neither are its containers. */
  async function poll(container: LocatedContainer, signal: AbortSignal): Promise<Described> {
    let seen = 0;
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= maxPollAttempts;
      const list = await unlessAborted(podList.newerThan(seen), signal).catch((error: unknown) => {
        if (isLast || signal.aborted) throw error;
        log.warn({ err: error, attempt }, 'Unable to get pod list; will retry after backoff');
        return undefined;
      });
      const described = list && describedIn(list.pods, container);
      if (described !== undefined) return described;
      if (isLast)
        throw new WorkloadAttestError('CONTAINER', `container ${container.id} is in no pod after ${attempt} attempts`);
      seen = list?.number ?? seen;
    }
  }

  return {
    type,
    async attest(pid, signal) {
      const container = await locateContainer(pid, locator);
      if (container === undefined) return [];
      const user = userWhoNamed(container.cgroupPaths);
      if (user !== undefined) {
        throw new WorkloadAttestError(
          'CONTAINER',
          `container ${container.id} is below the slice of user ${user}, who may have named it`,
        );
      }
      const { namespace, values } = await poll(container, signal);
      const labels = (await (namespaces && unlessAborted(namespaces.labelsOf(namespace), signal))) ?? {};
      const ofNamespace = Object.entries(labels).map(([key, value]) => `ns-label:${key}:${value}`);
      return [...values, ...ofNamespace].map((value): Selector => ({ type, value }));
    },
  };
}

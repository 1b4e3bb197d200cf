// Reads pod and container out of a path of a control group, as kubelet, containerd, CRI-O and Docker name them.
import { containerIdIn } from '../container-locator.ts';
import type { NamedContainer } from '../container-locator.ts';

/** A UID, whose dashes systemd's form writes as underscores; that of a static pod is a digest without any. */
const podForm =
  /\bpod([0-9a-fA-F]{8}([-_])[0-9a-fA-F]{4}\2[0-9a-fA-F]{4}\2[0-9a-fA-F]{4}\2[0-9a-fA-F]{12}|[0-9a-f]{32})\b/;
const idForm = /\b([0-9a-fA-F]{64})\b/;

/**
 * The outermost pod, and the first container in it: these two names were given by the kubelet and its engine. What stands below them a container with a
 * control group of its own may have named.
 */
export function podContainerIn(path: string): NamedContainer | undefined {
  const pod = podForm.exec(path);
  // Some engines name no pod; then the container alone must do.
  const id = pod === null ? containerIdIn(path) : idForm.exec(path.slice(pod.index + pod[0].length))?.[1];
  if (id === undefined) return undefined;
  const podUid = pod?.[1]?.replaceAll('_', '-');
  return podUid === undefined ? { id } : { id, podUid };
}

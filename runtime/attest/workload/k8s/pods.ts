// The pods that a kubelet tells of, as far as selectors come from them; and the selectors.
import * as z from 'zod';

const text = z.string().default('');
const containerStatus = z
  .object({ name: text, image: text, imageID: text, containerID: text })
  .transform(({ imageID, containerID, ...status }) => ({
    ...status,
    imageId: imageID,
    // `<engine>://<id>`; not there before the container was made.
    containerId: /^[^/]*:\/\/(.+)$/.exec(containerID)?.[1],
  }));
const statuses = z
  .array(containerStatus)
  .nullish()
  .transform((list) => list ?? []);

const pod = z.object({
  metadata: z.object({
    name: text,
    namespace: text,
    uid: text,
    labels: z.record(z.string(), z.string()).nullish(),
    ownerReferences: z.array(z.object({ kind: text, name: text, uid: text })).nullish(),
  }),
  spec: z.object({ serviceAccountName: text, nodeName: text }).prefault({}),
  status: z.object({ containerStatuses: statuses, initContainerStatuses: statuses }).prefault({}),
});

/** `items` is null where there are none. */
export const podListSchema = z
  .object({ items: z.array(pod).nullable() })
  .transform(({ items }) => items?.filter(({ metadata }) => metadata.uid !== '') ?? []);

export type Pod = z.output<typeof pod>;
export type ContainerStatus = z.output<typeof containerStatus>;

/** Ephemeral containers are not among them: somebody who debugs a pod does not become it. */
export function findContainer({ status }: Pod, id: string): ContainerStatus | undefined {
  return [...status.containerStatuses, ...status.initContainerStatuses].find(({ containerId }) => containerId === id);
}

export function podSelectorValues({ metadata, spec, status }: Pod): string[] {
  return [
    `sa:${spec.serviceAccountName}`,
    `ns:${metadata.namespace}`,
    `node-name:${spec.nodeName}`,
    `pod-uid:${metadata.uid}`,
    `pod-name:${metadata.name}`,
    `pod-image-count:${status.containerStatuses.length}`,
    `pod-init-image-count:${status.initContainerStatuses.length}`,
    ...imagesOf(status.containerStatuses).map((image) => `pod-image:${image}`),
    ...imagesOf(status.initContainerStatuses).map((image) => `pod-init-image:${image}`),
    ...Object.entries(metadata.labels ?? {}).map(([key, value]) => `pod-label:${key}:${value}`),
    ...(metadata.ownerReferences ?? []).flatMap(({ kind, name, uid }) => [
      `pod-owner:${kind}:${name}`,
      `pod-owner-uid:${kind}:${uid}`,
    ]),
  ];
}

export function containerSelectorValues(status: ContainerStatus): string[] {
  return [`container-name:${status.name}`, ...imagesOf([status]).map((image) => `container-image:${image}`)];
}

/** Each by its digest and by its name, whichever an entry goes by. */
function imagesOf(list: readonly ContainerStatus[]): string[] {
  return [...new Set(list.flatMap(({ imageId, image }) => [imageId, image]))].filter((image) => image !== '');
}

// Pods as a kubelet tells of them: made up, in the form of a kubelet's own answer.

export const podUid = '2c48913c-b29f-11e7-9350-020968147796';
export const otherUid = '5f0d8a7e-3c11-4a2b-9d1e-6b7c8d9e0f10';
export const id = '9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961';
export const initId = '45490e76e0878aaa4d9808f7d2eefba37f093c3efbba9838b6d8ab804d9bd814';
export const otherId = 'b2a102854b4969b2ce98dc329c86b4fb2b06e4ad2cc8da9d8a7578c9cd2004a2';
const digest = `sha256:${'9f'.repeat(32)}`;

export const status = (more: object = {}) => ({
  name: 'web',
  image: 'registry.example.org/web:1.4',
  imageID: `registry.example.org/web@${digest}`,
  containerID: `containerd://${id}`,
  ...more,
});

export const pod = (more: { metadata?: object; status?: object } = {}) => ({
  metadata: {
    name: 'web-6658cb9566-5n4b4',
    namespace: 'production',
    uid: podUid,
    labels: { app: 'web', 'pod-template-hash': '6658cb9566' },
    ownerReferences: [
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: 'web-6658cb9566',
        uid: '349d135e-3781-43e3-bc25-c900aedf1d0c',
      },
    ],
    ...more.metadata,
  },
  spec: { serviceAccountName: 'web', nodeName: 'node-1', containers: [{ name: 'web' }] },
  status: {
    phase: 'Running',
    containerStatuses: [
      status(),
      status({ name: 'proxy', image: 'proxy:2', imageID: 'proxy-digest', containerID: `cri-o://${'a'.repeat(64)}` }),
    ],
    initContainerStatuses: [
      status({ name: 'init', image: 'init:1', imageID: 'init-digest', containerID: `containerd://${initId}` }),
    ],
    ephemeralContainerStatuses: [status({ name: 'debugger', containerID: `containerd://${otherId}` })],
    ...more.status,
  },
});

export const otherPod = (more: { metadata?: object; status?: object } = {}) =>
  pod({
    metadata: { name: 'other', uid: otherUid, labels: {}, ownerReferences: [], ...more.metadata },
    status: { containerStatuses: [], initContainerStatuses: [], ephemeralContainerStatuses: [], ...more.status },
  });

export const list = (...items: readonly object[]): string =>
  JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });

export const podSelectors = [
  'k8s:sa:web',
  'k8s:ns:production',
  'k8s:node-name:node-1',
  `k8s:pod-uid:${podUid}`,
  'k8s:pod-name:web-6658cb9566-5n4b4',
  'k8s:pod-image-count:2',
  'k8s:pod-init-image-count:1',
  `k8s:pod-image:registry.example.org/web@${digest}`,
  'k8s:pod-image:registry.example.org/web:1.4',
  'k8s:pod-image:proxy-digest',
  'k8s:pod-image:proxy:2',
  'k8s:pod-init-image:init-digest',
  'k8s:pod-init-image:init:1',
  'k8s:pod-label:app:web',
  'k8s:pod-label:pod-template-hash:6658cb9566',
  'k8s:pod-owner:ReplicaSet:web-6658cb9566',
  'k8s:pod-owner-uid:ReplicaSet:349d135e-3781-43e3-bc25-c900aedf1d0c',
];

export const containerSelectors = [
  'k8s:container-name:web',
  `k8s:container-image:registry.example.org/web@${digest}`,
  'k8s:container-image:registry.example.org/web:1.4',
];

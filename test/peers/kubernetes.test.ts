// The API server that the other tests rely on: what it must do for them is that of a real cluster.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startControllers } from './support/kubernetes-controllers.ts';
import type { Placed } from './support/kubernetes-pods.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually } from './support/processes.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
let kubernetes: Kubernetes;

beforeAll(async () => {
  kubernetes = stage.add(await startKubernetes(stage));
});
afterAll(() => stage.strike());

const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

it('is the version that it was built from', async () => {
  expect(await kubernetes.administrator.call('GET', '/version')).toMatchObject({
    major: '1',
    minor: '36',
    gitVersion: 'v1.36.3',
  });
});

it('holds objects against their schemas, where it is asked to be strict', async () => {
  const path = '/api/v1/namespaces?dryRun=All&fieldValidation=Strict';
  expect(await kubernetes.administrator.call('POST', path, namespace('sound'))).toMatchObject({
    status: { phase: 'Active' },
  });
  const unknown = { ...namespace('unsound'), spec: { color: 'red' } };
  await expect(kubernetes.administrator.call('POST', path, unknown)).rejects.toMatchObject({
    status: 400,
    message: expect.stringContaining('unknown field \\"spec.color\\"') as string,
  });
});

it('gives a user the rights that RBAC gives, and no others', async () => {
  const rules = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['list'] }];
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await kubernetes.administrator.call('POST', `${rbac}/clusterroles`, { metadata: { name: 'reader' }, rules });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'reader' }];
  await kubernetes.administrator.call('POST', `${rbac}/clusterrolebindings`, {
    metadata: { name: 'reader' },
    roleRef,
    subjects,
  });
  const reader = kubernetes.user('reader');
  expect(await reader.call('GET', '/api/v1/namespaces')).toMatchObject({ kind: 'NamespaceList' });
  const refusal = 'User \\"reader\\" cannot list resource \\"secrets\\"';
  await expect(reader.call('GET', '/api/v1/secrets')).rejects.toMatchObject({
    status: 403,
    message: expect.stringContaining(refusal) as string,
  });
});

it('has controllers, where a test starts them: service accounts come, and what belongs to something goes with it', async () => {
  const controllers = stage.add(await startControllers(kubernetes, stage));
  const { administrator } = kubernetes;
  await administrator.call('POST', '/api/v1/namespaces', namespace('controlled'));
  const path = '/api/v1/namespaces/controlled';
  const given = async () => [
    await administrator.call('GET', `${path}/serviceaccounts/default`),
    await administrator.call('GET', `${path}/configmaps/kube-root-ca.crt`),
  ];
  await eventually('the namespace has what every namespace has', given, 60_000, controllers.checkRunning);
  const owner = await administrator.call<{ metadata: Placed }>('POST', `${path}/configmaps`, {
    metadata: { name: 'owner' },
  });
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }];
  await administrator.call('POST', `${path}/configmaps`, { metadata: { name: 'owned', ownerReferences } });
  await administrator.call('DELETE', `${path}/configmaps/owner`);
  await eventually('what was owned is gone', async () => {
    const left = await administrator.call<{ items: { metadata: Placed }[] }>('GET', `${path}/configmaps`);
    const names = left.items.map(({ metadata }) => metadata.name);
    if (names.includes('owned')) throw new Error(`there are ${names.join(', ')}`);
  });
});

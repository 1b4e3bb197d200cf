// Lists in pages: the API server says what the next one is called, and that there is none by nothing or by an empty name.
import { expect, it } from 'vitest';
import type { KubernetesConnection, Query } from '../../../activities/clients/kubernetes/connection.ts';
import { createKubernetesApi } from '../../../activities/clients/kubernetes/kubernetes-api.ts';
import { KubernetesError } from '../../../activities/clients/kubernetes/kubernetes-errors.ts';
import { listObjects } from '../../../activities/clients/kubernetes/list-objects.ts';

const kind = { group: '', version: 'v1', plural: 'pods', namespace: 'trust' };
const page = (resourceVersion: string, names: readonly string[], more?: string) => ({
  items: names.map((name) => ({ metadata: { name } })),
  metadata: { resourceVersion, ...(more === undefined ? {} : { continue: more }) },
});

function answering(answers: readonly unknown[]) {
  const asked: Query[] = [];
  const connection = {
    ask: (query: Query) => Promise.resolve(answers[asked.push(query) - 1]),
  } as Pick<KubernetesConnection, 'ask'> as KubernetesConnection;
  return { asked, connection };
}

it.each([undefined, ''])('is asked for until there is no more (%j), and is as old as its last page', async (end) => {
  const { asked, connection } = answering([
    page('7', ['a', 'b'], 'two'),
    page('8', [], 'three'),
    page('9', ['c'], end),
  ]);
  const { signal } = new AbortController();
  const { items, resourceVersion } = await listObjects(connection, kind, { labelSelector: 'app=a', signal });
  expect(items.map(({ metadata: { name } }) => name)).toEqual(['a', 'b', 'c']);
  expect(resourceVersion).toBe('9');
  const query = { method: 'GET', path: '/api/v1/namespaces/trust/pods', signal };
  expect(asked).toEqual(
    [undefined, 'two', 'three'].map((more) => ({
      ...query,
      parameters: { limit: '500', continue: more, labelSelector: 'app=a' },
    })),
  );
});

it('selects by all labels that are given, and by none where there are none', async () => {
  const { asked, connection } = answering([page('1', []), page('1', [])]);
  const api = createKubernetesApi(connection);
  await api.list(kind, { app: 'a', tier: 'b' });
  await api.list(kind);
  expect(asked.map(({ parameters }) => parameters?.['labelSelector'])).toEqual(['app=a,tier=b', undefined]);
});

it('is nothing where a page is refused', async () => {
  const { connection } = answering([page('7', ['a'], 'two'), Promise.reject(new KubernetesError(410, 'too old'))]);
  await expect(listObjects(connection, kind)).rejects.toThrow('too old');
});

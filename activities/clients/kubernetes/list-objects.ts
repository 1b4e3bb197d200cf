// All objects of a kind as the API server lists them: page by page, and as of when.
import { eachPage } from '../pages.ts';
import type { KubernetesConnection } from './connection.ts';
import { pathOf } from './resource-kinds.ts';
import type { AnyObject, ResourceKind } from './resource-kinds.ts';

export interface ListOptions {
  readonly labelSelector?: string | undefined;
  readonly signal?: AbortSignal;
}

export interface ObjectList<T> {
  readonly items: T[];
  /** What a watch goes on from. */
  readonly resourceVersion: string;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string | undefined };
}

const pageSize = '500';

export async function listObjects<T extends AnyObject>(
  connection: KubernetesConnection,
  kind: ResourceKind,
  { labelSelector, signal }: ListOptions = {},
): Promise<ObjectList<T>> {
  const ask = async (more: string) => {
    const parameters = { limit: pageSize, continue: more === '' ? undefined : more, labelSelector };
    const page = await connection.ask<Page<T>>({ method: 'GET', path: pathOf(kind), parameters, signal });
    return { ...page, nextPageToken: page.metadata.continue ?? '' };
  };
  const items: T[] = [];
  let resourceVersion = '';
  for await (const page of eachPage(ask)) {
    items.push(...page.items);
    ({ resourceVersion } = page.metadata);
  }
  return { items, resourceVersion };
}

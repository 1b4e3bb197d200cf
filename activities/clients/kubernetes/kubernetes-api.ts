// What we ask of Kubernetes beside watching: single objects, as they are and as they are to be. Failures are KubernetesErrors; who calls from an activity
// translates them (kubernetes-errors.ts).
import type { KubernetesConnection } from './connection.ts';
import { KubernetesError } from './kubernetes-errors.ts';
import { listObjects } from './list-objects.ts';
import { pathOf } from './resource-kinds.ts';
import type { AnyObject, ResourceKind } from './resource-kinds.ts';

export interface ApplyOptions {
  /** Whose fields these are. */
  readonly manager: string;
  /** Takes fields over from whoever had them. */
  readonly force?: boolean;
  readonly subresource?: 'status';
  /** An unknown or doubled field is refused, where nothing is said it is dropped. */
  readonly strict?: boolean;
}

export interface RemoveOptions {
  /** What belongs to it goes first. */
  readonly foreground?: boolean;
  /** Only this very object, and none that has its name since. */
  readonly uid?: string | undefined;
}

export interface KubernetesApi {
  /** `undefined` where there is none. */
  find<T extends AnyObject>(kind: ResourceKind, name: string): Promise<T | undefined>;
  list<T extends AnyObject>(kind: ResourceKind, labels?: Readonly<Record<string, string>>): Promise<T[]>;
  create<T extends AnyObject>(kind: ResourceKind, object: object): Promise<T>;
  /** Server-side apply: what is said of the object is so afterwards, what this manager said before and says no more is gone. */
  apply<T extends AnyObject>(kind: ResourceKind, object: T, options: ApplyOptions): Promise<T>;
  /** RFC 7386; with a `resourceVersion` in it, only what was read is changed. */
  merge<T extends AnyObject>(kind: ResourceKind, name: string, patch: object, subresource?: 'status'): Promise<T>;
  /** Replaces it if it is still what was read. */
  replace<T extends AnyObject>(kind: ResourceKind, object: T): Promise<T>;
  /** Content where there is none; returns before what hangs on it is gone. */
  remove(kind: ResourceKind, name: string, options?: RemoveOptions): Promise<void>;
}

export function createKubernetesApi(connection: KubernetesConnection): KubernetesApi {
  return {
    find: (kind, name) => connection.ask<never>({ method: 'GET', path: pathOf(kind, name) }).catch(unlessGone),
    async list<T extends AnyObject>(kind: ResourceKind, labels: Readonly<Record<string, string>> = {}) {
      const labelSelector = Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(',');
      const selected = labelSelector === '' ? {} : { labelSelector };
      return (await listObjects<T>(connection, kind, selected)).items;
    },
    create: (kind, body) => connection.ask({ method: 'POST', path: pathOf(kind), body }),
    apply: (kind, body, { manager, force = false, subresource, strict = false }) =>
      connection.ask({
        method: 'PATCH',
        path: pathOf(kind, body.metadata.name, ...(subresource === undefined ? [] : [subresource])),
        parameters: {
          fieldManager: manager,
          force: String(force),
          fieldValidation: strict ? 'Strict' : undefined,
        },
        contentType: 'application/apply-patch+yaml',
        body,
      }),
    merge: (kind, name, body, subresource) =>
      connection.ask({
        method: 'PATCH',
        path: pathOf(kind, name, ...(subresource === undefined ? [] : [subresource])),
        contentType: 'application/merge-patch+json',
        body,
      }),
    replace: (kind, body) => connection.ask({ method: 'PUT', path: pathOf(kind, body.metadata.name), body }),
    async remove(kind, name, { foreground = false, uid } = {}) {
      const body = {
        propagationPolicy: foreground ? 'Foreground' : 'Background',
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      };
      await connection.ask({ method: 'DELETE', path: pathOf(kind, name), body }).catch(unlessGone);
    },
  };
}

function unlessGone(cause: unknown): undefined {
  if (cause instanceof KubernetesError && cause.status === 404) return undefined;
  throw cause;
}

// A cluster as registration asks for it: its objects, kept; their statuses, written; and the record of relationships, in a ConfigMap.
import { z } from 'zod';
import type { RelationshipRecord } from '../registration/federation/plan-relationships.ts';
import type { KubernetesObject } from '../registration/objects/kubernetes-objects.ts';
import type { RelationshipLedger } from '../registration/reconcile/ports.ts';
import type { ClusterApi, ResourceKind } from '../registration/sources/cluster-api.ts';
import type { KubernetesConnection } from './kubernetes/connection.ts';
import { createKubernetesApi } from './kubernetes/kubernetes-api.ts';
import type { KubernetesApi } from './kubernetes/kubernetes-api.ts';
import { KubernetesError } from './kubernetes/kubernetes-errors.ts';
import { watchObjects } from './kubernetes/watch-objects.ts';
import type { WatchLog } from './kubernetes/watch-objects.ts';

export interface RegistrationClusterOptions {
  readonly connection: KubernetesConnection;
  readonly log: WatchLog;
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

const notFound = 404;

export function createRegistrationCluster({
  connection,
  log,
  silenceMs,
  signal,
}: RegistrationClusterOptions): ClusterApi {
  const api = createKubernetesApi(connection);
  return {
    // The API server gives every object a UID; the client's type does not promise it.
    watch: <T extends KubernetesObject>(kind: ResourceKind, onChange: () => void) =>
      watchObjects<T>({ connection, kind, onChange, log, silenceMs, signal }),
    async writeStatus(kind, name, status) {
      try {
        await api.merge(kind, name, { status }, 'status');
      } catch (cause) {
        if (!(cause instanceof KubernetesError) || cause.status !== notFound) throw cause;
      }
    },
  };
}

export interface LedgerOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  readonly name: string;
}

const key = 'relationships.json';
const recordSchema = z.record(z.string(), z.string());
const configMapSchema = z.object({ data: recordSchema.default({}) });

/** Which relationships were made here, in a ConfigMap: it outlives the process, and people can read it. */
export function createConfigMapLedger({ api, namespace, name }: LedgerOptions): RelationshipLedger {
  const kind: ResourceKind = { group: '', version: 'v1', plural: 'configmaps', namespace };
  let last: RelationshipRecord | undefined;
  return {
    async read() {
      last ??= recordOf(await api.find(kind, name));
      return last;
    },
    async write(record) {
      const data = { [key]: JSON.stringify(record) };
      const found = await api.find(kind, name);
      if (found === undefined)
        await api.create(kind, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
      else await api.merge(kind, name, { data });
      last = record;
    },
  };
}

function recordOf(found: unknown): RelationshipRecord {
  if (found === undefined) return {};
  const { data } = configMapSchema.parse(found);
  return recordSchema.parse(JSON.parse(data[key] ?? '{}'));
}

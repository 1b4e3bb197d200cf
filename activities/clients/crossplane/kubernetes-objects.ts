// Our kinds in Kubernetes, in one namespace, and the parts that they are composed of; failures are ours already.
import { failure } from '../../failures.ts';
import type { KubernetesConnection } from '../kubernetes/connection.ts';
import { createKubernetesApi } from '../kubernetes/kubernetes-api.ts';
import { KubernetesError, kubernetesFailure } from '../kubernetes/kubernetes-errors.ts';
import type { AnyObject, ResourceKind } from '../kubernetes/resource-kinds.ts';
import type { CompositeObject, Kind, Objects, Reference } from './objects.ts';

const group = 'espalier.io';
const version = 'v1alpha1';
const apiVersion = `${group}/${version}`;

export function createObjects(connection: KubernetesConnection, namespace: string): Objects {
  const api = createKubernetesApi(connection);
  const kindOf = (kind: Kind): ResourceKind => ({ group, version, plural: plurals[kind], namespace });
  /** What a kind is called in paths, by its group and version; the API server's to say. */
  const known = new Map<string, string>();

  async function ask<T>(what: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (cause) {
      throw kubernetesFailure(what, cause);
    }
  }

  async function placeOf({ apiVersion: of, kind }: Reference): Promise<ResourceKind | undefined> {
    const [name = '', which = ''] = of.split('/');
    const key = `${of} ${kind}`;
    if (!known.has(key)) {
      const path = `/apis/${name}/${which}`;
      const { resources } = await connection.ask<ResourceList>({ method: 'GET', path });
      for (const resource of resources)
        if (!resource.name.includes('/')) known.set(`${of} ${resource.kind}`, resource.name);
    }
    const plural = known.get(key);
    return plural === undefined ? undefined : { group: name, version: which, plural, namespace };
  }

  return {
    get: (kind, name) => ask(`${kind} ${name}`, () => api.find<CompositeObject & AnyObject>(kindOf(kind), name)),

    look: (reference) =>
      ask(`${reference.kind} ${reference.name}`, async () => {
        try {
          const place = await placeOf(reference);
          return place === undefined ? undefined : await api.find<CompositeObject & AnyObject>(place, reference.name);
        } catch (cause) {
          // Not there, or not ours to see.
          if (cause instanceof KubernetesError && (cause.status === 403 || cause.status === 404)) return undefined;
          throw cause;
        }
      }),

    async list(kind, labels) {
      const items = await ask(`list of ${kind}`, () => api.list<CompositeObject & AnyObject>(kindOf(kind), labels));
      // Items of a list do not say what they are.
      return items.map((item) => ({ ...item, apiVersion, kind }));
    },

    async apply({ kind, name, labels, spec }, { manager, force }) {
      const metadata = { name, namespace, ...(labels === undefined ? {} : { labels }) };
      await ask(`${kind} ${name}`, () =>
        api.apply(kindOf(kind), { apiVersion, kind, metadata, spec }, { manager, force }),
      );
    },

    async remove(kind, name) {
      try {
        await api.remove(kindOf(kind), name, { foreground: true });
      } catch (cause) {
        const refusal = kubernetesFailure(`${kind} ${name}`, cause);
        // Crossplane refuses the deletion of what something else still stands on, and that goes too.
        const isInUse = cause instanceof KubernetesError && cause.status === 409;
        throw isInUse ? failure('NotReady', refusal.message) : refusal;
      }
    },

    async readSecret(name, key) {
      const secrets = { group: '', version: 'v1', plural: 'secrets', namespace };
      const secret = await ask(`Secret ${name}`, () => api.find<Secret>(secrets, name));
      const value = secret?.data?.[key];
      return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
    },
  };
}

const plurals: Readonly<Record<Kind, string>> = {
  SpireNetwork: 'spirenetworks',
  SpireDatastore: 'spiredatastores',
  SpireIdentity: 'spireidentities',
  SpireMachine: 'spiremachines',
};

interface ResourceList {
  readonly resources: readonly { readonly name: string; readonly kind: string }[];
}

interface Secret extends AnyObject {
  readonly data?: Readonly<Record<string, string>>;
}

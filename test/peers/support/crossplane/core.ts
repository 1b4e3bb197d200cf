// A STAND-IN for Crossplane's core, which is not here: it composes our namespaced kinds by the real function, over its real protocol (gRPC, mutual TLS).
// What it does, it does as Crossplane does: references before parts, server-side apply of parts that the composite resource controls, conditions of
// the generation that was seen. What it does not: usages keep nothing, and revisions, packages and other functions there are none. What is deleted goes by
// Kubernetes' own garbage collection.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ready, Severity } from '../../../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { RunFunctionRequest } from '../../../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import type { Resource, RunFunctionResponse } from '../../../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import type { Api, Kind, KubeObject } from './api.ts';
import { conditionOf, isSame, withTimes } from './conditions.ts';
import type { Condition } from './conditions.ts';

export interface CoreOptions {
  readonly api: Api;
  /** What may be composed, of whatever group. */
  readonly kinds: readonly Kind[];
  readonly runFunction: (request: RunFunctionRequest) => Promise<RunFunctionResponse>;
  readonly log: (line: string) => void;
}

export interface Core {
  stop(): Promise<void>;
}

const ours = 'espalier.io';
const everyMs = 300;
const partAnnotation = 'crossplane.io/composition-resource-name';

interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

export function startCore({ api, kinds, runFunction, log }: CoreOptions): Core {
  log('this is a stand-in for the core of Crossplane');
  const stopping = new AbortController();
  const applied = new Map<string, string>();
  const kindOf = ({ apiVersion, kind }: Pick<Reference, 'apiVersion' | 'kind'>): Kind => {
    const found = kinds.find((one) => `${one.group}/${one.version}` === apiVersion && one.kind === kind);
    if (found === undefined) throw new Error(`no such kind is installed: ${apiVersion} ${kind}`);
    return found;
  };

  async function turn(): Promise<void> {
    // Each kind is listed once a turn, whoever refers to it.
    const lists = new Map<Kind, Promise<KubeObject[]>>();
    const list = (kind: Kind): Promise<KubeObject[]> => {
      const listed = lists.get(kind) ?? api.list(kind);
      lists.set(kind, listed);
      return listed;
    };
    const composites = await Promise.all(kinds.filter(({ group }) => group === ours).map((kind) => list(kind)));
    await Promise.all(
      composites.flat().map(async (composite) => {
        if (composite.metadata.deletionTimestamp !== undefined) return;
        try {
          await compose(composite, list);
        } catch (cause) {
          log(`${composite.kind} ${composite.metadata.name}: ${(cause as Error).message}`);
        }
      }),
    );
  }

  async function compose(composite: KubeObject, list: (kind: Kind) => Promise<KubeObject[]>): Promise<void> {
    const { resourceRefs = [] } = (composite.spec['crossplane'] ?? {}) as { resourceRefs?: readonly Reference[] };
    const observed = new Map<string, KubeObject>();
    for (const reference of resourceRefs) {
      const found = (await list(kindOf(reference))).find(({ metadata }) => metadata.name === reference.name);
      const part = found?.metadata.annotations?.[partAnnotation];
      if (found !== undefined && part !== undefined) observed.set(part, found);
    }
    const answer = await runFunction(
      RunFunctionRequest.fromPartial({
        meta: { tag: composite.metadata.resourceVersion },
        observed: {
          composite: { resource: { ...composite } },
          resources: Object.fromEntries([...observed].map(([name, part]) => [name, { resource: { ...part } }])),
        },
      }),
    );
    const fatal = answer.results.find(({ severity }) => severity === Severity.SEVERITY_FATAL);
    if (fatal !== undefined) {
      await setStatus(composite, {}, [conditionOf(composite, 'Synced', 'False', 'ReconcileError', fatal.message)]);
      return;
    }
    const { resources = {}, composite: whole } = answer.desired ?? {};
    await applyParts(composite, resources, observed, resourceRefs);
    const unready = Object.entries(resources).flatMap(([name, { ready }]) =>
      ready === Ready.READY_TRUE ? [] : [name],
    );
    const isReady = unready.length === 0 && whole?.ready !== Ready.READY_FALSE;
    const waiting = [...unready, ...answer.results.map(({ message }) => message)].join(', ');
    const ready = isReady
      ? conditionOf(composite, 'Ready', 'True', 'Available')
      : conditionOf(composite, 'Ready', 'False', 'Creating', `Unready resources: ${waiting}`);
    const status = (whole?.resource?.['status'] ?? {}) as Record<string, unknown>;
    await setStatus(composite, status, [conditionOf(composite, 'Synced', 'True', 'ReconcileSuccess'), ready]);
  }

  async function applyParts(
    composite: KubeObject,
    resources: Readonly<Record<string, Resource>>,
    observed: ReadonlyMap<string, KubeObject>,
    before: readonly Reference[],
  ): Promise<void> {
    const parts = Object.entries(resources).map(([part, { resource }]) => {
      const body = resource as unknown as KubeObject;
      const named = (body.metadata as { readonly name?: string }).name;
      const name = observed.get(part)?.metadata.name ?? named ?? `${composite.metadata.name}-${hash(part)}`;
      return { part, body, name };
    });
    const references = parts.map(({ body: { apiVersion, kind }, name }) => ({ apiVersion, kind, name }));
    // Before the parts: what is not referred to would be forgotten by a core that died here.
    if (JSON.stringify(references) !== JSON.stringify(before))
      await api.merge(kindOf(composite), composite.metadata.name, {
        spec: { crossplane: { resourceRefs: references } },
      });
    for (const { part, body, name } of parts) await applyPart(composite, part, body, name);
    for (const [part, gone] of observed)
      if (resources[part] === undefined) await api.remove(kindOf(gone), gone.metadata.name);
  }

  async function applyPart(composite: KubeObject, part: string, body: KubeObject, name: string): Promise<void> {
    const { apiVersion, kind, metadata } = composite;
    const owner = {
      apiVersion,
      kind,
      name: metadata.name,
      uid: metadata.uid,
      controller: true,
      blockOwnerDeletion: true,
    };
    const wanted = {
      ...body,
      metadata: {
        ...body.metadata,
        name,
        labels: { ...body.metadata.labels, 'crossplane.io/composite': metadata.name },
        annotations: { ...body.metadata.annotations, [partAnnotation]: part },
        ownerReferences: [owner],
      },
    };
    const key = `${body.apiVersion} ${body.kind} ${name}`;
    const text = JSON.stringify(wanted);
    if (applied.get(key) === text) return;
    const made = await api.apply(
      kindOf(body),
      name,
      wanted,
      `apiextensions.crossplane.io/composed/${hash(metadata.uid)}`,
    );
    applied.set(key, text);
    if (body.kind === 'Usage') await setStatus(made, {}, [conditionOf(made, 'Ready', 'True', 'Available')]);
  }

  async function setStatus(object: KubeObject, status: object, conditions: readonly Condition[]): Promise<void> {
    const wanted = { ...status, conditions: withTimes(conditions, object.status) };
    if (!isSame(object.status, wanted))
      await api.merge(kindOf(object), object.metadata.name, { status: wanted }, '/status');
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      await turn().catch((cause: unknown) => log(`the API server: ${(cause as Error).message}`));
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

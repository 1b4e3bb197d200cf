// A STAND-IN for Crossplane's providers, which are not here: it makes the lab's objects of their managed resources, through the lab's own APIs, as the
// providers would make the clouds'. What the lab has not (VPCs, load balancers, keys) is said to be there and is not. It can be told to fail, as
// clouds do.
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiRefusal } from './api.ts';
import type { Api, Kind, KubeObject } from './api.ts';
import { conditionOf, isSame, withTimes } from './conditions.ts';
import type { Condition } from './conditions.ts';

export interface Seen {
  readonly externalName: string;
  readonly isReady: boolean;
  readonly atProvider: Readonly<Record<string, unknown>>;
}

export interface Managed {
  readonly object: KubeObject;
  readonly name: string;
  /** The name in the cloud, once there is one. */
  readonly externalName: string | undefined;
  /** `forProvider`, and what it is made with. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** External names of what its selector of a field chooses; throws where that is not there yet. */
  select(field: string, kind: string): Promise<string[]>;
  /** Noted at once, as what was made and not noted would be made again. */
  note(externalName: string): Promise<void>;
}

/** How one kind is made and unmade; what is refused is thrown, and tried again. */
export interface Maker {
  ensure(managed: Managed): Promise<Seen>;
  /** Whether it is gone. */
  remove(managed: Managed): Promise<boolean>;
}

/** What goes wrong with the managed resources that it matches. */
export interface Trouble {
  readonly matches: (object: KubeObject) => boolean;
  /** `refuse` says this; without it, it never becomes ready. */
  readonly refuse?: string;
}

export interface ProvidersOptions {
  readonly api: Api;
  readonly kinds: readonly Kind[];
  /** By group and kind, such as `ec2.aws/Instance`; what is not here is only said to be there. */
  readonly makers: Readonly<Record<string, Maker>>;
  readonly log: (line: string) => void;
}

export interface Providers {
  /** Until it is called again; none without one. */
  trouble(trouble: Trouble | undefined): void;
  stop(): Promise<void>;
}

const everyMs = 300;
/** Of a kind of which there is nothing. */
const idleMs = 1_500;
const finalizer = 'finalizer.managedresource.crossplane.io';
export const externalNameAnnotation = 'crossplane.io/external-name';

export function startProviders({ api, kinds, makers, log }: ProvidersOptions): Providers {
  log('this is a stand-in for the providers of Crossplane: what it makes, it makes in the lab');
  const stopping = new AbortController();
  let trouble: Trouble | undefined;
  const makerOf = ({ group, kind }: Kind): Maker => makers[`${group.replace('.m.upbound.io', '')}/${kind}`] ?? kept;

  async function attend(kind: Kind, object: KubeObject): Promise<void> {
    const { metadata } = object;
    const maker = makerOf(kind);
    const managed = manage(kind, object);
    const finalizers = metadata.finalizers ?? [];
    if (metadata.deletionTimestamp !== undefined) {
      if (!finalizers.includes(finalizer) || !(await maker.remove(managed))) return;
      // Of this version: the garbage collector has finalizers of its own there.
      const { resourceVersion } = metadata;
      const others = finalizers.filter((one) => one !== finalizer);
      await patchMetadata(kind, metadata.name, { resourceVersion, finalizers: others });
      return;
    }
    if (!finalizers.includes(finalizer)) {
      await patchMetadata(kind, metadata.name, {
        resourceVersion: metadata.resourceVersion,
        finalizers: [...finalizers, finalizer],
      });
      return;
    }
    try {
      const struck = trouble?.matches(object) === true ? trouble : undefined;
      if (struck?.refuse !== undefined) throw new Error(struck.refuse);
      const seen = await maker.ensure(managed);
      if (managed.externalName !== seen.externalName) await managed.note(seen.externalName);
      const ready = seen.isReady && struck === undefined;
      await setStatus(kind, object, seen.atProvider, [
        conditionOf(object, 'Synced', 'True', 'ReconcileSuccess'),
        conditionOf(object, 'Ready', ready ? 'True' : 'False', ready ? 'Available' : 'Creating'),
      ]);
    } catch (cause) {
      if (cause instanceof ApiRefusal) throw cause;
      const message = `create failed: ${(cause as Error).message}`;
      await setStatus(kind, object, {}, [
        conditionOf(object, 'Synced', 'False', 'ReconcileError', message),
        conditionOf(object, 'Ready', 'False', 'Creating'),
      ]);
    }
  }

  function manage(kind: Kind, object: KubeObject): Managed {
    const { forProvider, initProvider } = object.spec as Record<string, Record<string, unknown> | undefined>;
    const note = async (externalName: string): Promise<void> =>
      patchMetadata(kind, object.metadata.name, { annotations: { [externalNameAnnotation]: externalName } });
    return {
      object,
      name: object.metadata.name,
      externalName: object.metadata.annotations?.[externalNameAnnotation],
      fields: { ...initProvider, ...forProvider },
      note,
      async select(field, wanted) {
        const selector = forProvider?.[field] as { matchLabels: Record<string, string>; matchControllerRef?: boolean };
        const among = kinds.find((one) => one.group === kind.group && one.kind === wanted);
        if (among === undefined) throw new Error(`no kind ${wanted} in ${kind.group}`);
        const controller = controllerOf(object);
        const found = (await api.list(among)).filter(
          (one) =>
            Object.entries(selector.matchLabels).every(([key, value]) => one.metadata.labels?.[key] === value) &&
            (selector.matchControllerRef !== true || controllerOf(one) === controller),
        );
        const names = found.flatMap(({ metadata }) => metadata.annotations?.[externalNameAnnotation] ?? []);
        if (names.length === 0) throw new Error(`cannot resolve references: mg.Spec.ForProvider.${field}: nothing`);
        return names;
      },
    };
  }

  async function patchMetadata(kind: Kind, name: string, metadata: object): Promise<void> {
    await api.merge(kind, name, { metadata });
  }

  async function setStatus(
    kind: Kind,
    object: KubeObject,
    atProvider: object,
    conditions: readonly Condition[],
  ): Promise<void> {
    const status = {
      ...(Object.keys(atProvider).length === 0 ? {} : { atProvider }),
      conditions: withTimes(conditions, object.status),
    };
    if (!isSame(object.status, status)) await api.merge(kind, object.metadata.name, { status }, '/status');
  }

  async function turn(kind: Kind): Promise<number> {
    const objects = await api.list(kind);
    for (const object of objects) {
      await attend(kind, object).catch((cause: unknown) =>
        log(`${kind.kind} ${object.metadata.name}: ${(cause as Error).message}`),
      );
    }
    return objects.length;
  }

  const running = kinds.map(async (kind) => {
    while (!stopping.signal.aborted) {
      const count = await turn(kind).catch((cause: unknown) => {
        log(`${kind.kind}: ${(cause as Error).message}`);
        return 0;
      });
      await sleep(count === 0 ? idleMs : everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  });
  return {
    trouble(wanted) {
      trouble = wanted;
    },
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

/** Of what the lab has not. */
export const kept: Maker = {
  ensure: ({ object, externalName }) => {
    const id = externalName ?? `${object.kind.toLowerCase()}-${object.metadata.uid.slice(0, 8)}`;
    return Promise.resolve({ externalName: id, isReady: true, atProvider: { id } });
  },
  remove: () => Promise.resolve(true),
};

function controllerOf({ metadata }: KubeObject): string | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
}

// Puts objects into a cluster by server-side apply, strictly: a field that the API server does not know is refused. Nobody else's objects are taken over.
import type { KubernetesApi } from '../clients/kubernetes/kubernetes-api.ts';
import { KubernetesError, kubernetesFailure } from '../clients/kubernetes/kubernetes-errors.ts';
import type { AnyObject } from '../clients/kubernetes/resource-kinds.ts';
import type { BaseObject } from './bases.ts';
import type { AtCluster, OwnedInCluster } from './cluster.ts';
import { kinds, nameOf, placeOf } from './kinds.ts';
import { ownedLabels, refuseForeign } from './labels.ts';
import { labelled } from './pod-template.ts';

const manager = 'espalier';
const alreadyThere = 409;

/** `what` names the object in the failure. */
export async function ask<T>({ cluster }: Pick<AtCluster, 'cluster'>, what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw cause instanceof KubernetesError ? kubernetesFailure(`cluster ${cluster.name}: ${what}`, cause) : cause;
  }
}

/** All are looked at before the first is touched. */
export async function applyObjects(
  api: KubernetesApi,
  owned: OwnedInCluster,
  objects: readonly BaseObject[],
): Promise<void> {
  const order = objects.toSorted((a, b) => rankOf(a) - rankOf(b));
  for (const { kind, metadata } of order) {
    const what = nameOf(kind, metadata);
    const found = await ask(owned, what, () => api.find(placeOf(kind, metadata.namespace), metadata.name));
    refuseForeign(what, found, owned);
  }
  const labels = ownedLabels(owned);
  for (const object of order) {
    const { kind, metadata } = object;
    await ask(owned, nameOf(kind, metadata), () =>
      api.apply(placeOf(kind, metadata.namespace), labelled(object, labels), { manager, strict: true }),
    );
  }
}

/** A Secret whose values are made where there is none yet; what is in it afterwards. */
export async function ensureSecret(
  api: KubernetesApi,
  owned: OwnedInCluster,
  place: { readonly namespace: string; readonly name: string },
  make: () => Promise<Readonly<Record<string, string>>>,
): Promise<Readonly<Record<string, string>>> {
  const { namespace, name } = place;
  const what = nameOf('Secret', place);
  const kind = placeOf('Secret', namespace);
  const find = () => ask(owned, what, () => api.find<Secret>(kind, name));
  const existing = await find();
  if (existing === undefined) {
    const data = Object.fromEntries(Object.entries(await make()).map(([key, value]) => [key, encode(value)]));
    const metadata = { name, namespace, labels: ownedLabels(owned) };
    await ask(owned, what, () =>
      api.create(kind, { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata, data }).catch(unlessThere),
    );
  }
  const found = existing ?? (await find());
  refuseForeign(what, found, owned);
  return Object.fromEntries(Object.entries(found?.data ?? {}).map(([key, value]) => [key, decode(value)]));
}

interface Secret extends AnyObject {
  readonly data?: Readonly<Record<string, string>>;
}

function rankOf({ kind }: BaseObject): number {
  return kinds.findIndex((one) => one.kind === kind);
}

/** An attempt whose answer was lost has made it: what is in it counts. */
function unlessThere(cause: unknown): undefined {
  if (cause instanceof KubernetesError && cause.status === alreadyThere) return undefined;
  throw cause;
}

const encode = (text: string): string => Buffer.from(text).toString('base64');
export const decode = (text: string): string => Buffer.from(text, 'base64').toString('utf8');

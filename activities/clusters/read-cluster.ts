// What a cluster has of the trust domain, as its own objects say it: an update compares with that, and with no copy of an earlier specification.
import type { KubernetesApi } from '../clients/kubernetes/kubernetes-api.ts';
import type { AnyObject } from '../clients/kubernetes/resource-kinds.ts';
import { isFailure } from '../failures.ts';
import type { ClusterSpec } from '../spec/trust-domain-spec.ts';
import { ask } from './apply.ts';
import type { AtCluster, FoundCluster, FoundServer, ServerSettings } from './cluster.ts';
import { isServer, serverName } from './cluster.ts';
import { caTtlIn } from './configurations.ts';
import { labelsOf, ownerOf } from './labels.ts';
import type { PodSpec } from './pod-template.ts';
import { findLabelled } from './remove-cluster.ts';
import type { Found } from './remove-cluster.ts';
import { serverAddress } from './server-address.ts';
import { nodesIn } from './server-nodes.ts';
import { nodeKeysSecret, serverConfig } from './server-objects.ts';

interface PodSet extends AnyObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly spec?: PodSpec };
    readonly volumeClaimTemplates?: readonly { readonly spec?: { readonly storageClassName?: string } }[];
  };
}

interface Service extends AnyObject {
  readonly spec?: { readonly type?: ClusterSpec['expose'] };
}

interface WithData extends AnyObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** Null where it has nothing of the trust domain. */
export async function readCluster(api: KubernetesApi, input: AtCluster): Promise<FoundCluster | null> {
  const { trustDomain, cluster } = input;
  const found = await findLabelled(api, input, labelsOf(input));
  const [any] = found;
  if (any === undefined) return null;
  const find = (kind: string, name: string): Found | undefined =>
    found.find((one) => one.kind === kind && one.object.metadata.name === name);
  const set = find('StatefulSet', 'spire-server')?.object as PodSet | undefined;
  const nodes = nodesIn(trustDomain, (find('Secret', nodeKeysSecret)?.object as WithData | undefined)?.data ?? {});
  const names = Array.from({ length: set?.spec?.replicas ?? 0 }, (_, index) => serverName(index));
  const services = found.filter(({ kind }) => kind === 'Service').map(({ object }) => object as Service);
  return {
    name: nodes[0]?.cluster ?? cluster.name,
    ...(cluster.context === undefined ? {} : { context: cluster.context }),
    uid: any.object.metadata.uid ?? '',
    owner: ownerOf(set ?? any.object) ?? '',
    images: imagesOf([set, find('DaemonSet', 'spire-agent')?.object]),
    servers: await Promise.all(names.map((name) => serverOf(api, input, services, name))),
    left: services.map(({ metadata }) => metadata.name).filter((name) => isServer(name) && !names.includes(name)),
    nodes: nodes.map(({ name, agentId }) => ({ name, agentId })),
    settings: set === undefined ? null : settingsOf(set, services, find('ConfigMap', serverConfig)?.object),
  };
}

/** Of our programs, the servers' first; the database's is its own. */
function imagesOf(sets: readonly (PodSet | undefined)[]): string[] {
  const images = sets.flatMap((set) => set?.spec?.template?.spec?.containers ?? []).map(({ image }) => String(image));
  return [...new Set(images)];
}

async function serverOf(
  api: KubernetesApi,
  input: AtCluster,
  services: readonly Service[],
  name: string,
): Promise<FoundServer> {
  const expose = exposureOf(services, name);
  if (expose === undefined) return { name };
  try {
    return { name, address: await ask(input, `address of ${name}`, () => serverAddress(api, { expose }, name)) };
  } catch (cause) {
    if (isFailure(cause, 'NotReady')) return { name }; // its cluster gives it none: an update says so where it needs it
    throw cause;
  }
}

function settingsOf(set: PodSet, services: readonly Service[], config: WithData | undefined): ServerSettings {
  const storageClass = set.spec?.volumeClaimTemplates?.[0]?.spec?.storageClassName;
  return {
    ...(storageClass === undefined ? {} : { storageClass }),
    expose: exposureOf(services, 'spire-server-0') ?? 'ClusterIP',
    caTtl: caTtlIn(config?.data?.['server.conf'] ?? '') ?? '',
  };
}

function exposureOf(services: readonly Service[], name: string): ClusterSpec['expose'] | undefined {
  return services.find(({ metadata }) => metadata.name === name)?.spec?.type;
}

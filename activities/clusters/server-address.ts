// Where the control plane reaches a server in a cluster: what its Service says, as the specification has it exposed.
import type { KubernetesApi } from '../clients/kubernetes/kubernetes-api.ts';
import type { AnyObject } from '../clients/kubernetes/resource-kinds.ts';
import { failure } from '../failures.ts';
import type { ClusterPlan } from '../plan.ts';
import { serverNamespace } from './cluster.ts';
import { nodeKind, placeOf } from './kinds.ts';

interface Service extends AnyObject {
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly ports?: readonly { readonly port: number; readonly nodePort?: number }[];
  };
  readonly status?: {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
  };
}

interface Node extends AnyObject {
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Throws NotReady while the cluster gives it none. */
export async function serverAddress(
  api: KubernetesApi,
  { expose }: Pick<ClusterPlan, 'expose'>,
  name: string,
): Promise<string> {
  const service = await api.find<Service>(placeOf('Service', serverNamespace), name);
  const { clusterIP = '', ports = [] } = service?.spec ?? {};
  const [port] = ports;
  if (port === undefined) throw failure('NotReady', `Service ${serverNamespace}/${name} is not there`);
  if (expose === 'LoadBalancer') {
    const [ingress] = service?.status?.loadBalancer?.ingress ?? [];
    const host = ingress?.ip ?? ingress?.hostname;
    if (host === undefined)
      throw failure('NotReady', `Service ${serverNamespace}/${name} has no address of a load balancer yet`);
    return join(host, port.port);
  }
  if (expose === 'NodePort') {
    if (port.nodePort === undefined)
      throw failure('NotReady', `Service ${serverNamespace}/${name} has no node port yet`);
    return join(await nodeAddress(api), port.nodePort);
  }
  if (clusterIP === '' || clusterIP === 'None')
    throw failure('NotReady', `Service ${serverNamespace}/${name} has no address yet`);
  return join(clusterIP, port.port);
}

/** Any node that is ready passes it on; the first by name, so that it is the same whoever asks. */
async function nodeAddress(api: KubernetesApi): Promise<string> {
  const ready = (await api.list<Node>(nodeKind))
    .filter(({ status }) => status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const { status } of ready) {
    const found = status?.addresses?.find(({ type }) => type === 'InternalIP');
    if (found !== undefined) return found.address;
  }
  throw failure('NotReady', `none of ${ready.length} ready nodes of the cluster has an InternalIP`);
}

function join(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

// Where the servers of a cluster are told that their upstream is: a lab's instance, which its pods must reach.
import type { Kubernetes } from './kubernetes.ts';
import { eventually } from './processes.ts';

/** `address:port`, as soon as the cluster knows it. */
export async function clusterUpstream({ administrator }: Kubernetes, patienceMs: number): Promise<string> {
  const path = '/api/v1/namespaces/spire-server/configmaps/spire-upstream-agent-config';
  const read = () => administrator.call<{ data: Readonly<Record<string, string>> }>('GET', path);
  const { data } = await eventually('the cluster has its upstream', read, patienceMs);
  const text = Object.values(data).join('\n');
  const [, address] = /server_address = "([0-9.]+)"/.exec(text) ?? [];
  if (address === undefined) throw new Error(`no address of the upstream in ${text}`);
  return `${address}:8081`;
}

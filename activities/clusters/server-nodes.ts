// The keys by which the pods of a cluster's servers are nodes to the upstream: made by the worker, kept in a Secret of the cluster that only those pods mount,
// and nowhere else. One for each pod: an agent is known by its certificate, and two with one would push each other out. There is one for every server that the
// cluster may come to have, as the authority's key is thrown away.
import { nodeAgentId, issueNodeCertificates } from '../control/node-certificates.ts';
import type { KubernetesApi } from '../clients/kubernetes/kubernetes-api.ts';
import { failure } from '../failures.ts';
import { parseCertificate } from '../../runtime/pki/certificate.ts';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { applyObjects, decode, ensureSecret } from './apply.ts';
import type { OwnedInCluster, ServerNode, ServerNodes } from './cluster.ts';
import { agentNamespace, serverName, serverNamespace } from './cluster.ts';
import { nodeKeysSecret } from './server-objects.ts';

const authorityKey = 'authority.crt';
const pathOfNodes = '/espalier/cluster';
const mostServers = 9;

export async function ensureServerNodes(
  api: KubernetesApi,
  owned: OwnedInCluster,
  clock: () => number,
): Promise<ServerNodes> {
  const { trustDomain, cluster } = owned;
  await applyObjects(api, owned, [
    namespaceOf(serverNamespace, 'restricted'),
    // Of the host an agent has its network, its processes and two directories.
    namespaceOf(agentNamespace, 'privileged'),
  ]);
  const secret = { namespace: serverNamespace, name: nodeKeysSecret };
  const kept = await ensureSecret(api, owned, secret, async () => {
    const { authorityPem, nodes } = await issueNodeCertificates(trustDomain, {
      commonName: `nodes of ${trustDomain}'s servers in cluster ${cluster.name}`,
      paths: Array.from({ length: mostServers }, (_, index) => `${pathOfNodes}/${cluster.name}/${serverName(index)}`),
      now: clock(),
    });
    const pairs = nodes.flatMap(({ keyPem, certificatePem }, index) => [
      [`${serverName(index)}.key`, keyPem],
      [`${serverName(index)}.crt`, certificatePem],
    ]);
    return Object.fromEntries([...pairs, [authorityKey, authorityPem]]) as Record<string, string>;
  });
  const partOf = (key: string): string => {
    const value = kept[key];
    if (value !== undefined) return value;
    throw failure('Conflict', `Secret ${serverNamespace}/${nodeKeysSecret} of cluster ${cluster.name} has no ${key}`);
  };
  return {
    certificatePem: partOf(authorityKey),
    agentIds: cluster.servers.map((name) => {
      const [leaf] = certificatesFromPem(partOf(`${name}.crt`));
      if (leaf === undefined) throw failure('Conflict', `${name}.crt of cluster ${cluster.name} is no certificate`);
      return nodeAgentId(trustDomain, leaf);
    }),
  };
}

/** What a Secret of such keys says of the nodes: `data` as it is in the Secret. */
export function nodesIn(
  trustDomain: string,
  data: Readonly<Record<string, string>>,
): readonly (ServerNode & { readonly cluster: string })[] {
  return Object.entries(data).flatMap(([key, value]) => {
    if (!key.endsWith('.crt') || key === authorityKey) return [];
    const [leaf] = certificatesFromPem(decode(value));
    const [, cluster = '', name = ''] =
      /^spiffe:\/\/[^/]+\/espalier\/cluster\/([^/]+)\/([^/]+)$/.exec(
        leaf === undefined ? '' : (parseCertificate(leaf).uris[0] ?? ''),
      ) ?? [];
    return leaf === undefined || name === '' ? [] : [{ cluster, name, agentId: nodeAgentId(trustDomain, leaf) }];
  });
}

function namespaceOf(name: string, security: 'restricted' | 'privileged') {
  const labels = { 'pod-security.kubernetes.io/enforce': security };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

// Server half of k8s_psat: a token that the cluster itself says is of an allowed service account, in a pod that is still there, on a node that it knows.
import * as z from 'zod';
import { agentId } from '../../spiffe/spiffe-id.ts';
import { deniedEvidence, invalidEvidence, undecided } from '../attest-error.ts';
import type { ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import { checkPayload, parseJson } from '../payload.ts';
import type { PluginData } from '../plugin-config.ts';
import { createClusterApi } from './cluster-api.ts';
import type { ClusterApi, NodeRecord, PodRecord } from './cluster-api.ts';
import { parseK8sPsatConfig } from './server-config.ts';
import type { ClusterConfig } from './server-config.ts';
import { ownerOf } from './token-review.ts';
import type { TokenOwner } from './token-review.ts';

const type = 'k8s_psat';
const evidenceSchema = z.object({ cluster: z.string().min(1), token: z.string().min(1) });

export function createK8sPsatServerAttestor(data: PluginData, deps: ServerAttestorDeps): ServerAttestor {
  const { trustDomain, log, env = process.env } = deps;
  const apiOf = (name: string, file: string): ClusterApi => createClusterApi({ name, file, log, env });
  const clusters = new Map(
    [...parseK8sPsatConfig(data)].map(
      ([name, config]) => [name, { config, api: apiOf(name, config.kube_config_file) }] as const,
    ),
  );
  if (clusters.size === 0) log.warn({}, 'No clusters configured, PSAT attestation is effectively disabled');

  return {
    type,
    async attest(payload, _challenge, { signal }) {
      checkPayload(payload);
      const { cluster, token } = parseJson(payload, evidenceSchema, 'PAYLOAD_MALFORMED', 'attestation data');
      const found = clusters.get(cluster);
      if (found === undefined)
        throw invalidEvidence('CLUSTER_UNKNOWN', `not configured for cluster ${JSON.stringify(cluster)}`);
      const { config, api } = found;

      const review = await api.reviewToken(token, config.audience, signal);
      if (review.error !== '') log.warn({ cluster, reason: review.error }, 'TokenReview API refused a token');
      const owner = ownerOf(review, cluster, config.audience);
      const account = `${owner.namespace}:${owner.serviceAccount}`;
      if (!config.service_account_allow_list.includes(account)) {
        throw deniedEvidence(
          'SERVICE_ACCOUNT_NOT_ALLOWED',
          `"${account}" is not an allowed service account for cluster "${cluster}"`,
        );
      }

      const pod = await api.findPod(owner.namespace, owner.podName, signal);
      if (pod === undefined)
        throw deniedEvidence('POD_NOT_FOUND', `pod "${owner.podName}" is not in cluster "${cluster}"`);
      // Pods are asked for by name, and names are used again.
      if (pod.uid !== owner.podUid)
        throw deniedEvidence('POD_REPLACED', `pod "${owner.podName}" of cluster "${cluster}" is another one by now`);
      if (pod.nodeName === '')
        throw undecided('NODE_UNKNOWN', `pod "${owner.podName}" of cluster "${cluster}" is on no node`);
      const node = await api.findNode(pod.nodeName, signal);
      if (node === undefined) throw undecided('NODE_UNKNOWN', `node "${pod.nodeName}" is not in cluster "${cluster}"`);

      const place = config.use_pod_uid_for_agent_id ? ['pod', owner.podUid] : [node.uid];
      return {
        spiffeId: idOf(cluster, place),
        selectors: selectorValues(cluster, owner, pod, node, config).map((value) => ({ type, value })),
        canReattest: true,
      };
    },
  };

  function idOf(cluster: string, place: readonly string[]) {
    try {
      return agentId(trustDomain, type, cluster, ...place);
    } catch (cause) {
      throw undecided('AGENT_PATH', `UID "${place.join('/')}" cannot stand in a SPIFFE ID`, cause);
    }
  }
}

/** Labels only where they are allowed: whoever may edit a pod or node writes them. */
function selectorValues(
  cluster: string,
  owner: TokenOwner,
  pod: PodRecord,
  node: NodeRecord,
  config: ClusterConfig,
): string[] {
  return [
    `cluster:${cluster}`,
    `agent_ns:${owner.namespace}`,
    `agent_sa:${owner.serviceAccount}`,
    `agent_pod_name:${owner.podName}`,
    `agent_pod_uid:${owner.podUid}`,
    `agent_node_ip:${pod.hostIp}`,
    `agent_node_name:${pod.nodeName}`,
    `agent_node_uid:${node.uid}`,
    ...labelValues('agent_node_label', node.labels, config.allowed_node_label_keys),
    ...labelValues('agent_pod_label', pod.labels, config.allowed_pod_label_keys),
  ];
}

function labelValues(kind: string, labels: Readonly<Record<string, string>>, allowed: readonly string[]): string[] {
  return Object.entries(labels).flatMap(([key, value]) => (allowed.includes(key) ? [`${kind}:${key}:${value}`] : []));
}

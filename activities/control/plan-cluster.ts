// What a cluster of a specification becomes in the plan: its servers, their identity, the alias of its nodes, and the entries of its workloads. Pure.
import { agentAccount, agentNamespace, serverName } from '../clusters/cluster.ts';
import type { ClusterPlan } from '../plan.ts';
import { downstreamServerPath, nodeAliasPath } from '../spec/identities.ts';
import type { ClusterSpec, TrustDomainSpec } from '../spec/trust-domain-spec.ts';
import { workloadIdOf } from './workload-ids.ts';

/** Of the pods of a server, and of nothing else: see the bases of `deploy/kubernetes`. */
const serverUser = 65532;

export function planCluster(spec: TrustDomainSpec, cluster: ClusterSpec): ClusterPlan {
  const { name, platform, context, servers, intermediateTtl, image, storageClass, expose } = cluster;
  const prefix = `spiffe://${spec.trustDomain}`;
  return {
    name,
    platform,
    ...(context === undefined ? {} : { context }),
    servers: Array.from({ length: servers }, (_, index) => serverName(index)),
    caTtl: intermediateTtl,
    image,
    ...(storageClass === undefined ? {} : { storageClass }),
    expose,
    downstreamId: `${prefix}${downstreamServerPath(platform, name)}`,
    // That agent's socket is in the pod, where nobody else comes.
    downstreamSelectors: [`unix:uid:${serverUser}`],
    aliasId: `${prefix}${nodeAliasPath(platform, name)}`,
    aliasSelectors: [
      `k8s_psat:cluster:${name}`,
      `k8s_psat:agent_ns:${agentNamespace}`,
      `k8s_psat:agent_sa:${agentAccount}`,
    ],
    workloads: spec.workloads
      .filter(({ segment }) => segment === name)
      .map((workload) => ({
        name: workload.name,
        spiffeId: workloadIdOf(spec, workload),
        selectors: workload.selectors,
      })),
  };
}

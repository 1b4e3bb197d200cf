// Everything of a cluster's agents: the bases as `deploy/kubernetes/basic` has them. Their trust bundle is published by the cluster's own server.
import type { ClusterPlan, TrustDomainPlan } from '../plan.ts';
import { configMap, renderBases } from './bases.ts';
import type { BaseObject } from './bases.ts';
import { agentNamespace } from './cluster.ts';
import { clusterAgentConfig } from './configurations.ts';
import { withPods } from './pod-template.ts';

export function agentObjects(plan: TrustDomainPlan, cluster: ClusterPlan): BaseObject[] {
  const { image } = cluster;
  const text = clusterAgentConfig(plan, cluster);
  const objects = renderBases({
    bases: ['agent', 'attestation', 'default-deny'],
    prefix: 'spire-',
    namespace: agentNamespace,
    configMaps: ['agent-config'],
  });
  return [
    configMap(agentNamespace, 'spire-agent-config', { 'agent.conf': text }),
    ...objects.map((object) =>
      object.kind === 'DaemonSet'
        ? withPods(
            object,
            (pod) => ({ ...pod, containers: pod.containers.map((container) => ({ ...container, image })) }),
            text,
          )
        : object,
    ),
  ];
}

// Clusters as the workflows see them: among the things of a fake world, each with the run that made it.
import { failure } from '../../activities/failures.ts';
import type { ClusterActivities, InCluster } from '../../activities/clusters/cluster.ts';
import { settingsOfCluster } from '../../activities/clusters/settings.ts';

export interface FakeClustersOptions {
  readonly things: Set<string>;
  readonly owners: ReadonlyMap<string, string>;
  readonly make: (thing: string, owner: string) => void;
}

export function createFakeClusters({ things, owners, make }: FakeClustersOptions): ClusterActivities {
  const settings = new Map<string, string>();
  /** `cluster shop StatefulSet spire-server`. */
  const nameOf = ({ cluster }: InCluster, thing: string): string => `cluster ${cluster.name} ${thing}`;
  const need = (input: InCluster, thing: string): void => {
    if (!things.has(nameOf(input, thing))) throw failure('Conflict', `${nameOf(input, thing)} is not there`);
  };
  const found = (input: InCluster): string[] => [...things].filter((thing) => thing.startsWith(nameOf(input, '')));

  return {
    listClusterResources: async (input) =>
      found(input).map((thing) => {
        const [, , kind = '', name = ''] = thing.split(' ');
        return { kind, name, owner: owners.get(thing) };
      }),
    ensureClusterServerNodes: async (input) => {
      make(nameOf(input, 'Secret spire-server-nodes'), input.owner);
      const { trustDomain, cluster } = input;
      const agentIds = cluster.servers.map(
        (name) => `spiffe://${trustDomain}/spire/agent/x509pop/${cluster.name}-${name}`,
      );
      return { certificatePem: `nodes of ${cluster.name}\n`, agentIds };
    },
    ensureClusterServer: async (input) => {
      need(input, 'Secret spire-server-nodes'); // its pods mount it
      make(nameOf(input, 'StatefulSet spire-server'), input.owner);
      settings.set(input.cluster.name, settingsOfCluster(input.plan.spec, input.cluster));
    },
    waitForClusterServer: async (input) => {
      need(input, 'StatefulSet spire-server');
      const { cluster } = input;
      return cluster.servers.map((name) => ({ name, address: `${name}.${cluster.name}.internal:8081` }));
    },
    ensureClusterAgents: async (input) => make(nameOf(input, 'DaemonSet spire-agent'), input.owner),
    waitForClusterAgents: async (input) => {
      need(input, 'DaemonSet spire-agent');
      const { trustDomain, cluster } = input;
      const agents = `spiffe://${trustDomain}/spire/agent/k8s_psat/${cluster.name}`;
      return ['a', 'b'].map((node) => ({ name: `node-${node}`, agentId: `${agents}/uid-${node}` }));
    },
    readClusterSettings: async ({ cluster }) => settings.get(cluster.name) ?? null,
    removeCluster: async (input) => {
      settings.delete(input.cluster.name);
      for (const thing of found(input))
        if (input.owner === undefined || owners.get(thing) === input.owner) things.delete(thing);
    },
  };
}

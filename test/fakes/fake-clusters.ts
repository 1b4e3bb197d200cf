// Clusters as the workflows see them: among the things of a fake world, each with the run that made it, and with what its objects say of it.
import { failure } from '../../activities/failures.ts';
import type { AtCluster, ClusterActivities, FoundCluster, InCluster } from '../../activities/clusters/cluster.ts';
import { serverName } from '../../activities/clusters/cluster.ts';
import type { ClusterPlan } from '../../activities/plan.ts';

export interface FakeClustersOptions {
  readonly things: Set<string>;
  readonly owners: ReadonlyMap<string, string>;
  readonly make: (thing: string, owner: string) => void;
  /** What its servers had registered is in their own database. */
  readonly forget: (cluster: string) => void;
}

export interface FakeCluster {
  readonly context: string | undefined;
  servers: readonly string[];
  /** Of which objects are left. */
  left: readonly string[];
  serverImage: string;
  agentImage?: string;
  settings: Pick<ClusterPlan, 'storageClass' | 'expose' | 'caTtl'>;
  /** For which there are certificates: those of an older one are as many as it had servers. */
  nodes: readonly string[];
}

export interface FakeClusters {
  /** By name. */
  readonly states: Map<string, FakeCluster>;
  /** Contexts that do not answer when others are looked for. */
  readonly silent: Set<string>;
  readonly activities: ClusterActivities;
}

const everyNode = Array.from({ length: 9 }, (_, index) => serverName(index));

export function createFakeClusters({ things, owners, make, forget }: FakeClustersOptions): FakeClusters {
  const states = new Map<string, FakeCluster>();
  const silent = new Set<string>();
  /** `cluster shop StatefulSet spire-server`. */
  const nameOf = ({ cluster }: AtCluster, thing: string): string => `cluster ${cluster.name} ${thing}`;
  const need = (input: InCluster, thing: string): void => {
    if (!things.has(nameOf(input, thing))) throw failure('Conflict', `${nameOf(input, thing)} is not there`);
  };
  const foundOf = (input: AtCluster): string[] => [...things].filter((thing) => thing.startsWith(nameOf(input, '')));
  const agentIdOf = (trustDomain: string, cluster: string, name: string): string =>
    `spiffe://${trustDomain}/spire/agent/x509pop/${cluster}-${name}`;
  const addressOf = (cluster: string, name: string): string => `${name}.${cluster}.internal:8081`;
  const ownedBy = (input: AtCluster, owner: string): void => {
    const other = foundOf(input).find((thing) => owners.has(thing) && owners.get(thing) !== owner);
    if (other !== undefined) throw failure('Conflict', `${other} exists already and belongs to ${owners.get(other)}`);
  };
  const read = (trustDomain: string, name: string): FoundCluster | null => {
    const things = foundOf({ trustDomain, cluster: { name } });
    const [thing] = things;
    if (thing === undefined) return null;
    const state = states.get(name);
    const { context, servers = [], left = [], nodes = [], serverImage, agentImage, settings } = state ?? {};
    return {
      ...{ uid: `uid of ${name}`, name, ...(context === undefined ? {} : { context }) },
      owner: owners.get(thing) ?? '',
      images: [...new Set([serverImage, agentImage].flatMap((image) => image ?? []))],
      servers: servers.map((server) => ({ name: server, address: addressOf(name, server) })),
      left,
      nodes: nodes.map((node) => ({ name: node, agentId: agentIdOf(trustDomain, name, node) })),
      settings: settings ?? null,
    };
  };

  const activities: ClusterActivities = {
    listClusterResources: async (input) =>
      foundOf(input).map((thing) => {
        const [, , kind = '', name = ''] = thing.split(' ');
        return { kind, name, owner: owners.get(thing) };
      }),
    ensureClusterServerNodes: async (input) => {
      ownedBy(input, input.owner);
      make(nameOf(input, 'Secret spire-server-nodes'), input.owner);
      const { trustDomain, cluster } = input;
      const agentIds = cluster.servers.map((name) => agentIdOf(trustDomain, cluster.name, name));
      return { certificatePem: `nodes of ${cluster.name}\n`, agentIds };
    },
    ensureClusterServer: async (input) => {
      need(input, 'Secret spire-server-nodes'); // its pods mount it
      ownedBy(input, input.owner);
      make(nameOf(input, 'StatefulSet spire-server'), input.owner);
      const { name, context, servers, image: serverImage, storageClass, expose, caTtl } = input.cluster;
      const before = states.get(name);
      const known = [...(before?.servers ?? []), ...(before?.left ?? [])];
      states.set(name, {
        ...{ context, nodes: everyNode, ...before, servers, serverImage },
        left: known.filter((server) => !servers.includes(server)),
        settings: { ...(storageClass === undefined ? {} : { storageClass }), expose, caTtl },
      });
    },
    waitForClusterServer: async (input) => {
      need(input, 'StatefulSet spire-server');
      const { cluster } = input;
      const lacks = cluster.servers.filter((name) => states.get(cluster.name)?.servers.includes(name) !== true);
      if (lacks.length > 0) throw failure('Conflict', `${lacks.join(', ')} of ${cluster.name} does not run`);
      return cluster.servers.map((name) => ({ name, address: addressOf(cluster.name, name) }));
    },
    ensureClusterAgents: async (input) => {
      ownedBy(input, input.owner);
      make(nameOf(input, 'DaemonSet spire-agent'), input.owner);
      const state = states.get(input.cluster.name);
      if (state !== undefined) state.agentImage = input.cluster.image;
    },
    waitForClusterAgents: async (input) => {
      need(input, 'DaemonSet spire-agent');
      const { trustDomain, cluster } = input;
      const agents = `spiffe://${trustDomain}/spire/agent/k8s_psat/${cluster.name}`;
      return ['a', 'b'].map((node) => ({ name: `node-${node}`, agentId: `${agents}/uid-${node}` }));
    },
    readClusterSettings: async () => null,
    readCluster: async ({ trustDomain, cluster }) => {
      if (states.get(cluster.name)?.context !== cluster.context) return null;
      return read(trustDomain, cluster.name);
    },
    findClusters: async ({ trustDomain, beside }) => {
      const names = new Set([...things].flatMap((thing) => /^cluster (\S+) /.exec(thing)?.[1] ?? []));
      const others = [...names].filter((name) => !beside.some(({ context }) => context === states.get(name)?.context));
      const isSilent = (name: string): boolean => silent.has(states.get(name)?.context ?? '');
      return {
        found: others.filter((name) => !isSilent(name)).flatMap((name) => read(trustDomain, name) ?? []),
        silent: [...silent].map((context) => `${context}: connect ETIMEDOUT`),
      };
    },
    removeClusterServers: async ({ cluster }) => {
      const state = states.get(cluster.name);
      if (state !== undefined) state.left = [];
    },
    removeCluster: async (input) => {
      const { name } = input.cluster;
      for (const thing of foundOf(input))
        if (input.owner === undefined || owners.get(thing) === input.owner) things.delete(thing);
      if (things.has(nameOf(input, 'StatefulSet spire-server'))) return;
      states.delete(name);
      forget(name);
    },
  };
  return { states, silent, activities };
}

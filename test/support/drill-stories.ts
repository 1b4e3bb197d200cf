// How each drill is brought to a good end on a fake world: what is tested, recorded and disturbed.
import type { FakeWorld } from '../fakes/fake-world.ts';
import { spec } from './specs.ts';

export const drillServers = ['gcp instance upstream-0', 'gcp instance gcp-server-0', 'aws instance aws-server-0'];
export const drillNodes = ['gcp-node-0', 'gcp-node-1', 'aws-node-0', 'aws-node-1'];

/** A bootstrap's instances, each node with its agent, and the workloads' entries. */
export function stand(world: FakeWorld, trustDomain: string): void {
  for (const server of drillServers) world.put(server);
  for (const node of drillNodes) {
    const [cloud = ''] = node.split('-');
    world.put(`${cloud} instance ${node}`);
    const agent = { tier: cloud, away: false, knows: new Set<string>(), knowsTainted: new Set<string>(), under: '' };
    world.fleet.agents.set(`spiffe://${trustDomain}/spire/agent/${cloud}/${node}`, agent);
  }
  for (const { segment, name } of spec.workloads)
    world.troubles.entries.set(segment, [
      `entry of spiffe://${trustDomain}/prod/${segment}/demo/${name}`,
      ...Array.from({ length: 9 }, (_, i) => `entry ${segment}/${i}`),
    ]);
}

export const drillPolicy = { hold: '1s', lookEvery: '100ms', recovery: '60s', mostHold: '12h' };

export interface DrillStory {
  readonly drill: string;
  readonly subject?: (trustDomain: string) => string;
  /** What the fake world needs besides. */
  readonly prepare?: (world: FakeWorld) => void;
  readonly rounds: number;
}

export const drillStories: readonly DrillStory[] = [
  { drill: 'downstreamServerDown', subject: () => 'aws-server-0', rounds: 1 },
  { drill: 'upstreamUnreachable', rounds: 1 },
  { drill: 'agentPartition', subject: () => 'aws-node-0', rounds: 1 },
  { drill: 'svidExpiry', subject: () => 'aws', prepare: ({ drills }) => void (drills.svidMs = 3_000), rounds: 1 },
  { drill: 'entryDeletion', rounds: 1 },
  { drill: 'crossPlatformTrust', rounds: 2 },
  { drill: 'datastoreDown', subject: () => 'aws', rounds: 1 },
  {
    drill: 'intermediateExpiry',
    subject: () => 'aws',
    prepare({ drills }) {
      [drills.svidMs, drills.caMs] = [2_000, 3_000];
    },
    rounds: 1,
  },
];

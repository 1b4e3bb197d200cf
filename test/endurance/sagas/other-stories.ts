// Stories beside the runbooks that alerts start: snapshots, a node let back in, and rollouts of agents forth and back.
import type { WorkflowHandle } from '@temporalio/client';
import { approve, quick, waiting } from '../../support/runbook-stories.ts';
import type { StoryStage } from '../../support/runbook-stories.ts';
import { spec } from '../../support/specs.ts';

export interface OtherStory {
  readonly name: string;
  readonly play: (stage: StoryStage, trustDomain: string) => Promise<WorkflowHandle>;
}

const artifact = { url: 'http://127.0.0.1:1/new.tar.gz', sha256: 'ab'.repeat(32), version: '0.1.0' };
const servers = ['gcp instance upstream-0', 'gcp instance gcp-server-0', 'aws instance aws-server-0'];
const nodes = ['gcp-node-0', 'gcp-node-1', 'aws-node-0', 'aws-node-1'];

function stand({ world }: StoryStage): void {
  for (const server of servers) world.put(server);
  for (const node of nodes) {
    world.put(`${node.slice(0, 3)} instance ${node}`);
    world.nodes.releases.set(node, ['old']);
  }
}

function roll(stage: StoryStage, trustDomain: string, policy: object): Promise<WorkflowHandle> {
  stand(stage);
  const request = { topology: undefined, spec: { ...spec, trustDomain }, artifact };
  return stage.start('rollOutAgents', { ...request, policy: { maxUnavailable: 1, ...policy } });
}

export const otherStories: readonly OtherStory[] = [
  { name: 'snapshotTrust', play: ({ start }) => start('snapshotTrust', {}) },
  {
    name: 'evictAndReattest',
    async play(stage, trustDomain) {
      stand(stage);
      const { world, start } = stage;
      const agentId = `spiffe://${trustDomain}/spire/agent/aws/aws-node-0`;
      const agent = { tier: 'aws', away: true, knows: new Set<string>(), knowsTainted: new Set<string>(), under: '' };
      world.fleet.agents.set(agentId, agent);
      world.troubles.expired.add(agentId);
      const request = { topology: undefined, spec: { ...spec, trustDomain }, subject: 'aws-node-0', policy: quick };
      const handle = await start('evictAndReattest', request);
      const approved = approve(handle).catch(() => undefined); // it may leave it to a person before it asks
      void approved.then(async () => {
        while (!world.troubles.evicted.has(agentId)) await new Promise((resolve) => setTimeout(resolve, 20));
        world.troubles.evicted.clear();
        world.troubles.expired.clear();
      });
      return handle;
    },
  },
  { name: 'rollOutAgents', play: (stage, trustDomain) => roll(stage, trustDomain, {}) },
  {
    name: 'rollOutAgents back',
    async play(stage, trustDomain) {
      stage.world.nodes.unhealthy.add('aws-node-1');
      return roll(stage, trustDomain, { onFailure: 'roll back' });
    },
  },
  {
    name: 'rollOutAgents resumed',
    async play(stage, trustDomain) {
      const { failing } = stage.world.nodes;
      failing.add('gcp-node-1');
      const handle = await roll(stage, trustDomain, {});
      await waiting(handle, 'a decision');
      failing.clear();
      await handle.signal('resume');
      return handle;
    },
  },
];

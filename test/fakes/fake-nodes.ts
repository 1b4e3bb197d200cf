// Nodes as their clouds and the fleet see them in a rollout: what is on each, which fail, which come back unhealthy.
import { Context } from '@temporalio/activity';
import { failure } from '../../activities/failures.ts';
import { checkRollOut } from '../../activities/rollout/check-rollout.ts';
import type { NodeActivities, RollOutActivities } from '../../activities/rollout/rollout.ts';
import { skewFindings } from '../../activities/rollout/version-skew.ts';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import type { Cloud } from '../../activities/spec/trust-domain-spec.ts';

export interface FakeNodes {
  /** What is on each node and what was before, newest first, by name. */
  readonly releases: Map<string, string[]>;
  /** Nodes whose new agent does not come up: they stay with the old one. */
  readonly failing: Set<string>;
  /** Nodes whose agent has the release and is not healthy. */
  readonly unhealthy: Set<string>;
  readonly down: Set<string>;
  readonly isolated: Set<string>;
  /** Agents outside each wave that are silent. */
  silent: number;
  serverVersion: string;
  /** Sizes of the commands that clouds were given. */
  readonly commands: { readonly cloud: Cloud; readonly names: readonly string[]; readonly id: string }[];
  cloud(cloud: Cloud): NodeActivities;
  control(): RollOutActivities;
}

export function createFakeNodes(
  instancesOf: (cloud: Cloud, role: string) => readonly string[],
  planOf: (spec: unknown) => Promise<TrustDomainPlan>,
): FakeNodes {
  const nodesOf = (cloud: Cloud, segment: string) => instancesOf(cloud, `node-${segment}`);
  const nodes: FakeNodes = {
    releases: new Map(),
    failing: new Set(),
    unhealthy: new Set(),
    down: new Set(),
    isolated: new Set(),
    silent: 0,
    serverVersion: '1.15.3-espalier-0.1.0',
    commands: [],
    cloud: (cloud) => ({
      async findNodes({ segment, artifact, limit, without }) {
        const all = nodesOf(cloud, segment);
        const others = all.filter((name) => nodes.releases.get(name)?.[0] !== artifact.sha256);
        const next = others.filter((name) => !nodes.down.has(name) && !without.includes(name));
        return {
          release: artifact.sha256,
          total: all.length,
          current: all.length - others.length,
          downCount: others.filter((name) => nodes.down.has(name)).length,
          next: next.slice(0, limit).map(agentOf),
        };
      },
      isolateAgent: async ({ role, agentId }) => {
        const name = instancesOf(cloud, role).find((node) => agentId.endsWith(`/${node}`));
        if (name !== undefined) nodes.isolated.add(name);
        return name;
      },
      findAgents: async ({ trustDomain, role, names }) =>
        instancesOf(cloud, role)
          .filter((name) => names.includes(name))
          .map((name) => ({ name, agentId: `spiffe://${trustDomain}/spire/agent/${cloud}/${name}` })),
      async applyRelease({ names, id, artifact }) {
        nodes.commands.push({ cloud, names, id });
        return names.map((name) => {
          if (nodes.failing.has(name)) return { name, isDone: false, said: 'the agent is not healthy with it' };
          const before = nodes.releases.get(name) ?? [];
          if (before[0] !== artifact.sha256) nodes.releases.set(name, [artifact.sha256, ...before]);
          return { name, isDone: true, said: '' };
        });
      },
      async leaveRelease({ names, id, artifact }) {
        nodes.commands.push({ cloud, names, id });
        return names.map((name) => {
          const [now, ...before] = nodes.releases.get(name) ?? [];
          if (now === artifact.sha256) nodes.releases.set(name, before);
          return { name, isDone: true, said: '' };
        });
      },
    }),
    control: () => ({
      checkRollOut: ({ request }) =>
        checkRollOut(request, {
          planOf,
          version: '0.1.0',
          workflowId: Context.current().info.workflowExecution?.workflowId ?? '',
        }),
      readBundle: async () => 'bundle',
      compareVersions: async ({ segments, version }) =>
        segments.flatMap((tier) => skewFindings(tier, new Map([[`${tier}-server-0`, nodes.serverVersion]]), version)),
      lookAtAgents: async ({ agents, tier }) => {
        if (agents.some(({ agentId }) => agentId === '')) throw failure('InvalidRequest', 'an agent has no ID');
        return { nowMs: 1, withStreams: [], silentCount: tier.name === 'gcp' ? nodes.silent : 0 };
      },
      async waitForAgents({ agents }) {
        const missing = agents
          .filter(({ name }) => nodes.unhealthy.has(name))
          .map(({ name }) => ({ name, what: 'it has not reported since' }));
        return { healthy: agents.length - missing.length, missing };
      },
    }),
  };
  return nodes;
}

function agentOf(name: string) {
  return { name, agentId: `spiffe://example.org/spire/agent/fake/${name}` };
}

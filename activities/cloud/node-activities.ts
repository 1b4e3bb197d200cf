// The activities that change the agents of running nodes: on the queue of the nodes' cloud, by its own means, all nodes of a wave in one.
import { Context } from '@temporalio/activity';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { agentRelease, applyRelease, leaveRelease } from '../boot/agent-release.ts';
import type { AgentRelease } from '../boot/agent-release.ts';
import type { BegunCommand, CloudClient, NodeOutcome } from '../cloud.ts';
import { placeWorkloadsScript } from '../boot/node.ts';
import { releaseLabel } from '../cloud.ts';
import { failure } from '../failures.ts';
import type { NodeActivities, SegmentNodes } from '../rollout/rollout.ts';
import type { PlacingActivities } from '../update/update.ts';
import type { TrustDomainSpec } from '../spec/trust-domain-spec.ts';

type ClientOf = (infrastructure: TrustDomainSpec['infrastructure']) => Promise<CloudClient>;

const readEveryMs = 500;
const longestSaid = 300;
/** What the scripts say last when they end well: the release that is there now. */
const releaseLine = /release ([0-9a-f]{64})/g;

export function createNodeActivities(client: ClientOf): NodeActivities & Omit<PlacingActivities, 'listRemains'> {
  async function perform(
    input: SegmentNodes & { names: readonly string[]; id: string; timeout: string },
    scriptOf: (release: AgentRelease) => string,
  ): Promise<NodeOutcome[]> {
    const { infrastructure, trustDomain, region, role, names, id, timeout } = input;
    const cloud = await client(infrastructure);
    const where = { trustDomain, region, role };
    const timeoutSeconds = Math.ceil(parseDuration(timeout) / 1000);
    const script = scriptOf(releaseOf(input));
    const begun = begunBefore(id) ?? (await cloud.beginCommand({ ...where, names, id, script, timeoutSeconds }));
    Context.current().heartbeat(begun);
    const outcomes = [...begun.refused, ...(await readAll(cloud, begun))];
    // What is on a node is noted at its cloud, where the next run finds it.
    const byRelease = new Map<string, string[]>();
    for (const { name, isDone, said } of outcomes) {
      const release = [...said.matchAll(releaseLine)].at(-1)?.[1] ?? 'unknown';
      if (isDone) byRelease.set(release, [...(byRelease.get(release) ?? []), name]);
    }
    for (const [release, noted] of byRelease) await cloud.noteRelease({ ...where, names: noted, release });
    return outcomes.map(({ name, isDone, said }) => ({ name, isDone, said: isDone ? '' : said.slice(-longestSaid) }));
  }

  return {
    async findNodes({ limit, without, ...segment }) {
      const cloud = await client(segment.infrastructure);
      const release = releaseOf(segment).digest;
      const nodes = (await cloud.listNodes(segment)).toSorted((a, b) => byNumber(a.name, b.name));
      const others = nodes.filter((node) => node.release !== releaseLabel(release));
      return {
        release,
        total: nodes.length,
        current: nodes.length - others.length,
        downCount: others.filter(({ isRunning }) => !isRunning).length,
        next: others
          .filter(({ name, isRunning }) => isRunning && !without.includes(name))
          .slice(0, limit)
          .map(({ name, agentId }) => ({ name, agentId })),
      };
    },
    async findAgents({ names, ...segment }) {
      const cloud = await client(segment.infrastructure);
      const wanted = new Set(names);
      const nodes = (await cloud.listNodes(segment)).filter(({ name }) => wanted.has(name));
      return nodes.map(({ name, agentId }) => ({ name, agentId }));
    },
    async isolateAgent({ infrastructure, trustDomain, region, role, agentId }) {
      const cloud = await client(infrastructure);
      const nodes = await cloud.listNodes({ trustDomain, region, role });
      const name = nodes.find((node) => node.agentId === agentId)?.name;
      if (name !== undefined) await cloud.isolateInstance({ trustDomain, region, name });
      return name;
    },
    listPlaced: async ({ infrastructure, trustDomain }) => (await client(infrastructure)).listPlaced({ trustDomain }),
    async placeWorkloads({ infrastructure, trustDomain, region, role, node, id, ...boot }) {
      const cloud = await client(infrastructure);
      const script = placeWorkloadsScript({ name: node, trustDomain, ...boot });
      const begun = await cloud.beginCommand({
        trustDomain,
        region,
        role,
        names: [node],
        id,
        script,
        timeoutSeconds: 300,
      });
      const [outcome] = [...begun.refused, ...(await readAll(cloud, begun))];
      if (outcome?.isDone !== true)
        throw failure('Unavailable', `workloads of ${node}: ${outcome?.said ?? 'its cloud says nothing'}`);
    },
    applyRelease: (input) => perform(input, applyRelease),
    leaveRelease: (input) => perform(input, ({ digest }) => leaveRelease(digest)),
  };
}

function releaseOf({ cloud, trustDomain, serverAddress, bundlePem, artifact }: SegmentNodes): AgentRelease {
  return agentRelease({ cloud, trustDomain, serverAddress, bundlePem, artifact });
}

/** A worker that died had begun it: the next one goes on with what the cloud was told. */
function begunBefore(id: string): BegunCommand | undefined {
  const before = Context.current().info.heartbeatDetails as BegunCommand | undefined;
  return before?.id === id ? before : undefined;
}

async function readAll(cloud: CloudClient, begun: BegunCommand): Promise<NodeOutcome[]> {
  const context = Context.current();
  const ended = new Map<string, NodeOutcome>();
  for (;;) {
    const open = begun.nodes.filter(({ name }) => !ended.has(name));
    if (open.length === 0) return [...ended.values()];
    if (Date.now() > begun.timeoutAt) {
      const late = open.map(({ name }) => ({ name, isDone: false, said: 'its cloud has not heard how it ended' }));
      return [...ended.values(), ...late];
    }
    for (const outcome of await cloud.readCommand({ ...begun, nodes: open })) ended.set(outcome.name, outcome);
    context.heartbeat(begun);
    await context.sleep(readEveryMs);
  }
}

/** `node-2` before `node-10`. */
function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

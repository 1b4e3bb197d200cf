// One wave: how its agents stand is noted, the release is put on their nodes by each cloud's own means, and the fleet must say that they are healthy again.
import type {
  AgentsBefore,
  FailedNode,
  NamedAgent,
  RollOutRequest,
  SegmentNodes,
  WaveReport,
} from '../../activities/rollout/rollout.ts';
import type { Tier, Topology } from '../../activities/trust/topology.ts';
import { onNodes, onRollOut } from '../lib/calls.ts';
import { rootMessage } from '../lib/failure-message.ts';
import type { Operator } from '../lib/operator.ts';
import { required } from '../lib/required.ts';

export interface SegmentWave {
  readonly nodes: SegmentNodes;
  readonly agents: readonly NamedAgent[];
}

export interface SeenWave extends SegmentWave {
  readonly before: AgentsBefore;
}

export interface WaveInput {
  readonly wave: readonly SeenWave[];
  readonly number: number;
  /** Of the run that began the rollout: what makes its commands its own. */
  readonly runId: string;
  readonly request: Pick<RollOutRequest, 'trustDomain' | 'policy' | 'artifact'>;
  readonly topology: Topology;
  readonly operator: Operator;
  /** The release is taken back, and what comes instead has whatever version it has. */
  readonly isBack: boolean;
}

export interface WaveEnd {
  readonly report: WaveReport;
  /** Names of the nodes that have another release now, by segment. */
  readonly changed: readonly (readonly string[])[];
  readonly failed: readonly FailedNode[];
}

interface SegmentEnd {
  readonly changed: readonly string[];
  readonly failed: readonly FailedNode[];
}

/** How the agents of the wave, and all others, stand before it. */
export function seeWave(
  wave: readonly SegmentWave[],
  { request, topology, operator }: Pick<WaveInput, 'request' | 'topology' | 'operator'>,
): Promise<SeenWave[]> {
  const { trustDomain } = request;
  return operator.interruptible(() =>
    Promise.all(
      wave.map(async ({ nodes, agents }) => {
        const tier = tierOf(topology, nodes.segment);
        return { nodes, agents, before: await onRollOut().lookAtAgents({ trustDomain, tier, agents }) };
      }),
    ),
  );
}

export async function changeWave(input: WaveInput): Promise<WaveEnd> {
  const { wave, number } = input;
  const startedAt = new Date();
  const ends = await Promise.all(wave.map((one) => changeSegment(input, one)));
  const failed = ends.flatMap((end) => end.failed);
  return {
    report: {
      wave: number,
      nodes: wave.reduce((sum, { agents }) => sum + agents.length, 0),
      failed: failed.length,
      startedAt: startedAt.toISOString(),
      seconds: Math.round((Date.now() - startedAt.getTime()) / 100) / 10,
    },
    changed: ends.map(({ changed }) => changed),
    failed,
  };
}

async function changeSegment(
  { number, runId, request, topology, operator, isBack }: WaveInput,
  { nodes, agents, before }: SeenWave,
): Promise<SegmentEnd> {
  if (agents.length === 0) return { changed: [], failed: [] };
  const { segment, cloud } = nodes;
  const { policy, trustDomain, artifact } = request;
  const tier = tierOf(topology, segment);
  const names = agents.map(({ name }) => name);
  const command = { ...nodes, names, id: `${isBack ? 'back' : 'wave'}-${number}-${runId}`, timeout: policy.deadline };
  const { applyRelease, leaveRelease } = onNodes(cloud);
  // What was begun on a node is waited for: an abort comes before the next wave.
  const outcomes = await (isBack ? leaveRelease(command) : applyRelease(command)).catch((cause: unknown) => {
    const said = rootMessage(cause);
    return names.map((name) => ({ name, isDone: false, said }));
  });
  const done = new Set(outcomes.filter(({ isDone }) => isDone).map(({ name }) => name));
  const broken = outcomes
    .filter(({ isDone }) => !isDone)
    .map(({ name, said }): FailedNode => ({ segment, name, what: said }));
  const changed = agents.filter(({ name }) => done.has(name));
  if (changed.length === 0) return { changed: [], failed: broken };

  const { missing } = await operator.interruptible(() =>
    onRollOut().waitForAgents({
      trustDomain,
      tier,
      agents: changed,
      sinceMs: before.nowMs,
      withStreams: before.withStreams,
      version: isBack ? undefined : artifact.version,
      deadline: policy.deadline,
    }),
  );
  return { changed: [...done], failed: [...broken, ...missing.map((one): FailedNode => ({ segment, ...one }))] };
}

function tierOf(topology: Topology, segment: string): Tier {
  return required(
    topology.tiers.find(({ name }) => name === segment),
    `no tier has the name ${segment}`,
  );
}

// Before the first wave: the request is checked, what there is to change is looked up and given a digest, and what stands against it is told.
import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { RollOutReport, RollOutRequest, SegmentNodes } from '../../activities/rollout/rollout.ts';
import type { Finding, GivenApproval } from '../../activities/trust/rotation.ts';
import type { Topology } from '../../activities/trust/topology.ts';
import { onCloud, onRollOut, onRunbook } from '../lib/calls.ts';
import { whereOf } from '../lib/removals.ts';
import { required } from '../lib/required.ts';
import { findTopology } from '../lib/topology.ts';

/** All that a rollout knows, without what clouds and servers can be asked again: a run hands it to the next. */
export interface RollOutState {
  readonly request: Omit<RollOutRequest, 'plan'>;
  readonly topology: Topology;
  readonly segments: readonly SegmentNodes[];
  readonly planDigest: string;
  readonly plannedWaves: readonly number[];
  readonly findings: readonly Finding[];
  readonly startedAt: string;
  /** Id of the first run. */
  readonly startedBy: string;
  readonly waves: RollOutReport['waves'];
  readonly failed: RollOutReport['failed'];
  /** Names of the nodes that were changed, by segment, in that order. */
  readonly rolled: readonly (readonly string[])[];
  readonly notes: readonly string[];
  readonly said: { readonly paused: boolean; readonly approvals: readonly GivenApproval[] };
}

export async function beginRollOut(asked: unknown): Promise<RollOutState> {
  const { plan, ...request } = await onRollOut().checkRollOut({ request: asked });
  const { trustDomain, artifact, policy } = request;
  const topology = await findTopology(plan);
  const root = required(topology.tiers[0], 'the trust domain has no tier');
  const bundlePem = await onRollOut().readBundle({ trustDomain, tier: root });
  const addressOf = (name: string): string => {
    const tier = topology.tiers.find((one) => one.name === name);
    return required(tier?.servers[0], `tier ${name} has no server`).address;
  };
  const segments = plan.segments
    .filter(({ name }) => request.segments.includes(name))
    .map(({ name, cloud, region, nodeIdentity }): SegmentNodes => ({
      ...whereOf(plan.spec),
      region,
      segment: name,
      cloud,
      role: nodeIdentity,
      artifact: { url: artifact.url, sha256: artifact.sha256 },
      serverAddress: addressOf(name),
      bundlePem,
    }));
  const skew = await onRollOut().compareVersions({ topology, segments: request.segments, version: artifact.version });
  const action = JSON.stringify({ artifact, segments: request.segments, policy });
  return {
    request,
    topology,
    segments,
    planDigest: await onRunbook().digestAction({ runbook: 'rollOutAgents', trustDomain, subject: '', action }),
    plannedWaves: [],
    findings: policy.versionSkew === 'enforce' ? skew : skew.map((one): Finding => ({ ...one, severity: 'warning' })),
    startedAt: new Date().toISOString(),
    startedBy: workflowInfo().runId,
    waves: [],
    failed: [],
    rolled: segments.map(() => []),
    notes: [],
    said: { paused: false, approvals: [] },
  };
}

export function refuseBlocked({ findings }: RollOutState): void {
  const blockers = findings.filter(({ severity }) => severity === 'blocker');
  if (blockers.length === 0) return;
  throw ApplicationFailure.create({
    type: 'Blocked',
    nonRetryable: true,
    message: `nothing was changed: ${blockers.map(({ tier, what }) => `tier ${tier}: ${what}`).join('; ')}`,
    details: [blockers],
  });
}

/** Nodes that were made before their cloud's own agent was let in have the right from now on. */
export async function admitCommands({ segments }: RollOutState): Promise<void> {
  const rights = { secrets: [], describeInstances: false, takesCommands: true };
  await Promise.all(
    segments
      .filter(({ cloud }) => cloud === 'aws')
      .map(({ cloud, infrastructure, trustDomain, role }) =>
        onCloud(cloud, 'infrastructure').ensureInstanceIdentity({ infrastructure, trustDomain, role, rights }),
      ),
  );
}

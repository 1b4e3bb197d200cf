// Agent partition: one node is cut off from its servers. Its agent serves what it has; everybody else does not notice.
import type { Tried } from '../../activities/drills/drill.ts';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import { required } from '../lib/required.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { heartbeatOf } from '../../runtime/spiffe/heartbeat.ts';
import { cutLink } from './faults.ts';
import { keepsIssuing, keepsMtls, keepsRefusing } from './judge-look.ts';
import type { Expectation, Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export function agentPartition(stage: DrillStage): Round[] {
  const { subject, plan } = stage.request;
  const node = required(
    stage.nodes.find(({ name }) => name === subject),
    `node ${subject} does not run`,
  );
  const segment = required(
    plan.segments.find(({ nodes }) => nodes.includes(subject)),
    `no segment has node ${subject}`,
  );
  const { agentId } = node;
  const { ttl } = plan.spec;
  return [
    {
      failure: `node ${subject} is cut off from the servers of ${segment.name}`,
      faults: stage.tier(segment.name).servers.map((server) => cutLink(stage, node, server)),
      alert: { name: 'SpireAgentDown', labels: { agent_id: agentId } },
      runbook: { name: 'agentUnreachable', subject: agentId, tier: segment.name },
      agent: { tier: segment.name, agentId },
      detect: ({ agent }) => (agent?.silent === true ? `agent ${agentId} was heard last at ${agent.heardAt ?? ''}` : undefined), // prettier-ignore
      expectations: [
        keepsMtls,
        keepsRefusing,
        ...stage.topology.tiers.map(({ name }) => keepsIssuing(name)),
        keepsReporting(agentId, ttl),
      ],
    },
  ];
}

/** Of the other agents. One that was late already at the first look may be back from something else, and has not fallen silent by this. */
export function keepsReporting(agentId: string, ttl: TrustDomainPlan['spec']['ttl']): Expectation {
  const lateMs = 1.5 * heartbeatOf(parseDuration(ttl.x509Svid));
  let inTimeMs: number | undefined;
  return {
    what: 'no other agent falls silent',
    kind: 'keeps',
    works({ at, tiers }): Tried {
      inTimeMs ??= Date.parse(at) - lateMs;
      const since = inTimeMs;
      const silent = tiers
        .flatMap(({ agents }) => agents.silent)
        .filter(({ id, heardAt }) => id !== agentId && Date.parse(heardAt) >= since)
        .map(({ id }) => id);
      return silent.length === 0 ? { works: true } : { works: false, said: silent.join(', ') };
    },
  };
}

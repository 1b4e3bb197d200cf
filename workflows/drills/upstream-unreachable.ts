// Upstream unreachable: every server of the root tier is killed. The tiers below sign on with the CAs that they have, X.509 and JWT alike, until those end.
import { killServer } from './faults.ts';
import { keepsIssuing, keepsMtls, keepsRefusing, poolDown, stopsIssuing } from './judge-look.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export function upstreamUnreachable(stage: DrillStage): Round[] {
  const { name: upstream } = stage.request.plan.upstream;
  return [
    {
      failure: `every server of tier ${upstream} is killed`,
      faults: stage.tier(upstream).servers.map((server) => killServer(stage, server)),
      alert: { name: 'SpireUpstreamDown', labels: {} },
      runbook: { name: 'upstreamUnreachable', subject: '' },
      detect: (look) => poolDown(look, upstream),
      expectations: [
        keepsMtls,
        keepsRefusing,
        ...stage.otherTiers(upstream).map(({ name }) => keepsIssuing(name)),
        stopsIssuing(upstream),
      ],
    },
  ];
}

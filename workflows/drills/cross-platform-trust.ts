// Cross-platform trust: a workload of one cloud and one of another meet, both ways, while the servers of each segment in turn are down.
import { killServer } from './faults.ts';
import { keepsIssuing, keepsMtls, keepsRefusing, poolDown, stopsIssuing } from './judge-look.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export function crossPlatformTrust(stage: DrillStage): Round[] {
  return stage.request.plan.segments.map(({ name }) => ({
    failure: `every server of tier ${name} is killed`,
    faults: stage.tier(name).servers.map((server) => killServer(stage, server)),
    alert: { name: 'SpireServerPoolDown', labels: { tier: name } },
    runbook: { name: 'downstreamClusterDown', subject: name },
    detect: (look) => poolDown(look, name),
    expectations: [
      keepsMtls,
      keepsRefusing,
      ...stage.otherTiers(name).map((other) => keepsIssuing(other.name)),
      stopsIssuing(name),
    ],
  }));
}

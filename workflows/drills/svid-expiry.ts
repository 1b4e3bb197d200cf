// SVID expiry: every server of a segment stays down until the last SVID of its workloads has ended. What has ended is taken by nobody; with the servers back
// agents attest anew, and workloads get new ones.
import { readmitExpired } from '../readmit-agents.ts';
import { killServer } from './faults.ts';
import { keepsIssuing, poolDown, stopsIssuing } from './judge-look.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';
import { followEnds } from './until-it-ends.ts';

export function svidExpiry(stage: DrillStage): Round[] {
  const { plan, subject } = stage.request;
  const ids = stage.workloads.filter(({ segment }) => segment === subject).map(({ spiffeId }) => spiffeId);
  const ends = followEnds(ids);
  return [
    {
      failure: `every server of tier ${subject} is killed until SVIDs have ended`,
      faults: stage.tier(subject).servers.map((server) => killServer(stage, server)),
      alert: { name: 'SpireServerPoolDown', labels: { tier: subject } },
      runbook: { name: 'downstreamClusterDown', subject },
      detect: (look) => poolDown(look, subject),
      expectations: [
        ...ends.expectations,
        ...stage.otherTiers(subject).map(({ name }) => keepsIssuing(name)),
        stopsIssuing(subject),
      ],
      isOver: ends.areOver,
      holds: `the last SVID has ended, ${plan.spec.ttl.x509Svid} at most`,
      // Trust on first use locks agents out whose own SVIDs ended meanwhile.
      afterMending: () => readmitExpired(plan),
    },
  ];
}

// An intermediate CA ends: a segment's servers are cut off from the upstream until it has. Then nothing is issued there, and comes back with the link.
import type { DrillLook } from '../../activities/drills/drill.ts';
import { readmitExpired } from '../readmit-agents.ts';
import { cutLink } from './faults.ts';
import { issuanceWorks, keepsIssuing } from './judge-look.ts';
import type { Expectation, Round } from './round.ts';
import type { DrillStage } from './stage.ts';
import { followEnds } from './until-it-ends.ts';

/** A CA signs nothing that outlives it, and stops a little before its end. */
const marginMs = 2_000;

export function intermediateExpiry(stage: DrillStage): Round[] {
  const { plan, subject } = stage.request;
  const upstream = stage.tier(plan.upstream.name);
  const ids = stage.workloads.filter(({ segment }) => segment === subject).map(({ spiffeId }) => spiffeId);
  const ends = followEnds(ids);
  const caEnds = new Map<string, number>();
  /** A server whose CA has ended cannot be asked for it any more: what it said last counts. Infinity before it said anything. */
  const endOf = ({ tiers }: DrillLook): number => {
    for (const { name, authority } of tiers.find(({ tier }) => tier === subject)?.servers ?? [])
      if (authority !== undefined) caEnds.set(name, Date.parse(authority.expiresAt));
    return caEnds.size === 0 ? Infinity : Math.max(...caEnds.values());
  };
  const hasEnded = (look: DrillLook): boolean => Date.parse(look.at) > endOf(look) + marginMs;
  const stops: Expectation = {
    what: `tier ${subject} issues after its CA has ended`,
    kind: 'stops',
    works: (look) => (hasEnded(look) ? issuanceWorks(look, subject) : undefined),
  };
  return [
    {
      failure: `the servers of tier ${subject} are cut off from tier ${upstream.name} until their CA has ended`,
      faults: stage
        .tier(subject)
        .servers.flatMap((server) => upstream.servers.map((above) => cutLink(stage, server, above))),
      alert: { name: 'SpireIntermediateRenewalFailing', labels: { tier: subject } },
      // This drill holds the lock under which the runbook would replace the CA.
      runbook: { name: 'intermediateRenewalFailing', subject, policy: { mayAct: false } },
      detect: (look) => (hasEnded(look) ? `the CA of tier ${subject} ended at ${new Date(endOf(look)).toISOString()}` : undefined), // prettier-ignore
      expectations: [...ends.expectations, ...stage.otherTiers(subject).map(({ name }) => keepsIssuing(name)), stops],
      isOver: (look) => hasEnded(look) && ends.areOver(look),
      holds: `its CA has ended, ${stage.segment(subject).pool.caTtl} at most`,
      afterMending: () => readmitExpired(plan),
    },
  ];
}

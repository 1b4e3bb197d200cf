// The datastore of a tier is away, as while PostgreSQL fails over: servers go on with what they know.
import { poolsOf } from '../lib/topology.ts';
import { closeDatastore } from './faults.ts';
import { keepsIssuing, keepsMtls, keepsRefusing } from './judge-look.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export function datastoreDown(stage: DrillStage): Round[] {
  const { plan, subject } = stage.request;
  return [
    {
      failure: `the database of tier ${subject} lets nobody in`,
      faults: poolsOf(plan)
        .filter(({ name }) => name === subject)
        .map((pool) => closeDatastore(stage, pool)),
      alert: { name: 'SpireDatastoreErrors', labels: { tier: subject } },
      runbook: { name: 'datastoreFailover', subject },
      detect({ tiers }) {
        const tier = tiers.find((one) => one.tier === subject);
        return tier?.datastore === 'away' ? `the datastore of tier ${subject} does not answer` : undefined;
      },
      expectations: [keepsMtls, keepsRefusing, ...stage.otherTiers(subject).map(({ name }) => keepsIssuing(name))],
    },
  ];
}

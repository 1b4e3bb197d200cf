// Downstream failure: one server of a segment is killed and stays down. Whoever has an SVID goes on with it; only issuance there ends, and only where the
// pool has no other server.
import { required } from '../lib/required.ts';
import { killServer } from './faults.ts';
import { keepsIssuing, keepsMtls, keepsRefusing, stopsIssuing } from './judge-look.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export function downstreamServerDown(stage: DrillStage): Round[] {
  const { subject } = stage.request;
  const tier = required(
    stage.topology.tiers.find(({ servers }) => servers.some(({ name }) => name === subject)),
    `no tier has the server ${subject}`,
  );
  const servers = tier.servers.filter(({ name }) => name === subject);
  const isAlone = tier.servers.length === servers.length;
  return [
    {
      failure: `server ${subject} is killed`,
      faults: servers.map((server) => killServer(stage, server)),
      alert: { name: 'SpireServerDown', labels: { tier: tier.name, server: subject } },
      runbook: { name: 'downstreamServerDown', subject },
      detect({ tiers }) {
        const server = tiers.flatMap((one) => one.servers).find(({ name }) => name === subject);
        return server?.answers === false ? `server ${subject} does not answer` : undefined;
      },
      expectations: [
        keepsMtls,
        keepsRefusing,
        ...stage.otherTiers(tier.name).map(({ name }) => keepsIssuing(name)),
        isAlone ? stopsIssuing(tier.name) : keepsIssuing(tier.name),
      ],
    },
  ];
}

// The activities that runbooks look and act with: on the `control` queue, with the worker's own SVID.
import { join } from 'node:path';
import type { SpireServer } from '../clients/spire-server.ts';
import type { TrustActivitiesOptions } from '../trust/trust-activities.ts';
import { askTier } from '../trust/ask-tier.ts';
import { readAuthorities } from '../trust/authorities.ts';
import { digestOfJson } from '../trust/canonical-json.ts';
import type { ServerAuthorities } from '../trust/rotation.ts';
import { ensureBanned, ensureEvicted, lookAtAgent } from './agents.ts';
import { checkRunbook } from './check-runbook.ts';
import { lookAtTiers } from './look-at-tiers.ts';
import type { OnTier, RunbookActivities } from './runbook.ts';
import { compareAuthorities, compareEntries, restoreEntries, takeSnapshot } from './snapshots.ts';

export function createRunbookActivities({
  source,
  planOf,
  reportDirectory,
  clock,
}: TrustActivitiesOptions): RunbookActivities {
  const on = async <T>({ trustDomain, tier }: OnTier, act: (server: SpireServer) => Promise<T>): Promise<T> =>
    askTier(await source.of(trustDomain), trustDomain, tier, act);
  const placeOf = ({ trustDomain, tier }: OnTier) => ({
    directory: join(reportDirectory, 'snapshots'),
    trustDomain,
    tier: tier.name,
  });
  const authoritiesOf = async ({ trustDomain, tier }: OnTier): Promise<ServerAuthorities[]> => {
    const own = await source.of(trustDomain);
    const asked = { trustDomain, tier: tier.name, kind: 'x509' as const };
    return Promise.all(tier.servers.map((server) => readAuthorities(own, { ...asked, server })));
  };

  return {
    checkRunbook: ({ runbook, request }) => checkRunbook(runbook, request, planOf),
    lookAtTiers: async ({ topology }) => lookAtTiers(await source.of(topology.trustDomain), topology, clock()),
    lookAtAgent: async (input) => lookAtAgent(await source.of(input.topology.trustDomain), input, clock()),
    digestAction: async (action) => digestOfJson(action),
    ensureBanned: (input) => on(input, (server) => ensureBanned(server, input.agentId)),
    ensureEvicted: (input) => on(input, (server) => ensureEvicted(server, input.agentId, input.endsAt)),
    snapshotTrust: ({ topology: { trustDomain, tiers } }) =>
      Promise.all(
        tiers.map(async (tier) => {
          const input = { trustDomain, tier };
          const authorities = await authoritiesOf(input);
          return on(input, (server) => takeSnapshot(placeOf(input), server, authorities, clock()));
        }),
      ),
    compareEntries: (input) => on(input, (server) => compareEntries(placeOf(input), server)),
    restoreEntries: (input) => on(input, (server) => restoreEntries(placeOf(input), server, input.snapshot)),
    compareAuthorities: async (input) => compareAuthorities(placeOf(input), await authoritiesOf(input)),
  };
}

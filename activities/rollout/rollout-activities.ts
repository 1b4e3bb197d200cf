// The activities that a rollout asks SPIRE servers with: on the `control` queue, with the worker's own SVID.
import { Context } from '@temporalio/activity';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { askTier } from '../trust/ask-tier.ts';
import type { Tier } from '../trust/topology.ts';
import type { TrustActivitiesOptions } from '../trust/trust-activities.ts';
import { judgeAgents, lookAtAgents } from './agents-health.ts';
import { checkRollOut } from './check-rollout.ts';
import type { AgentsHealth, RollOutActivities } from './rollout.ts';
import { serverVersions, skewFindings } from './version-skew.ts';

export interface RollOutActivitiesOptions extends Pick<TrustActivitiesOptions, 'source' | 'planOf'> {
  /** Of the artifact that this worker gives to nodes. */
  readonly version: string;
}

const lookEveryMs = 500;
/** Histories are no place for thousands. */
const mostNamed = 50;

export function createRollOutActivities({ source, planOf, version }: RollOutActivitiesOptions): RollOutActivities {
  const on = async <T>(trustDomain: string, tier: Tier, act: (server: SpireServer) => Promise<T>): Promise<T> =>
    askTier(await source.of(trustDomain), trustDomain, tier, act);

  return {
    checkRollOut: ({ request }) =>
      checkRollOut(request, {
        planOf,
        version,
        workflowId: Context.current().info.workflowExecution?.workflowId ?? '',
      }),
    readBundle: ({ trustDomain, tier }) =>
      on(trustDomain, tier, async ({ bundle }) => {
        const { x509Authorities } = await bundle.getBundle({ outputMask: undefined });
        return certificatesToPem(x509Authorities.map(({ asn1 }) => asn1));
      }),
    async compareVersions({ topology, segments, version: wanted }) {
      const { trustDomain, tiers } = topology;
      // An agent meets the servers of its own tier alone; above them, servers meet servers.
      const met = tiers.filter(({ name }) => segments.includes(name));
      const found = await Promise.all(
        met.map(async (tier) => skewFindings(tier.name, await on(trustDomain, tier, serverVersions), wanted)),
      );
      return found.flat();
    },
    lookAtAgents: ({ trustDomain, tier, agents }) => on(trustDomain, tier, (server) => lookAtAgents(server, agents)),
    async waitForAgents({ trustDomain, tier, agents, deadline, ...wanted }) {
      const context = Context.current();
      const until = Date.now() + parseDuration(deadline);
      for (;;) {
        const health = await on(trustDomain, tier, (server) => judgeAgents(server, agents, wanted));
        if (health.missing.length === 0 || Date.now() >= until) return shortened(health);
        context.heartbeat(`${health.healthy} of ${agents.length} agents are healthy`);
        await context.sleep(lookEveryMs);
      }
    },
  };
}

function shortened({ healthy, missing }: AgentsHealth): AgentsHealth {
  const left = missing.length - mostNamed;
  if (left <= 0) return { healthy, missing };
  const named = missing.slice(0, mostNamed);
  // The rest by name alone: who is missing must stay known, and what is said of the first says enough.
  return {
    healthy,
    missing: [...named, ...missing.slice(mostNamed).map(({ name }) => ({ name, what: 'the same as others' }))],
  };
}

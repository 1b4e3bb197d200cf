// The health of agents that have just been replaced, by what the fleet says and nothing else: a program that runs and reports nothing is not healthy.
import { HolderKind, Proof } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Holding } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { listHoldings } from '../trust/judge-claim.ts';
import type { AgentsBefore, AgentsHealth, NamedAgent } from './rollout.ts';

type FleetOf = Pick<SpireServer, 'fleet'>;

export interface Wanted {
  readonly sinceMs: number;
  readonly withStreams: readonly string[];
  readonly version: string | undefined;
}

export async function lookAtAgents(server: FleetOf, agents: readonly NamedAgent[]): Promise<AgentsBefore> {
  const { nowMs } = await server.fleet.countHoldings({ authorityId: '' });
  const wave = new Set(agents.map(({ agentId }) => agentId));
  const withStreams: string[] = [];
  let silentCount = 0;
  for await (const { id, silent, streams } of listHoldings(server, { kinds: [HolderKind.AGENT] })) {
    if (!wave.has(id)) silentCount += silent ? 1 : 0;
    else if (streams > 0) withStreams.push(id);
  }
  return { nowMs, withStreams, silentCount };
}

export async function judgeAgents(
  server: FleetOf,
  agents: readonly NamedAgent[],
  wanted: Wanted,
): Promise<AgentsHealth> {
  const found = new Map<string, Holding>();
  for await (const holding of listHoldings(server, { kinds: [HolderKind.AGENT] })) found.set(holding.id, holding);
  const missing = agents.flatMap(({ name, agentId }) => {
    const what = faultOf(found.get(agentId), wanted, agentId);
    return what === undefined ? [] : [{ name, what }];
  });
  return { healthy: agents.length - missing.length, missing };
}

function faultOf(
  holding: Holding | undefined,
  { sinceMs, withStreams, version }: Wanted,
  id: string,
): string | undefined {
  if (holding === undefined) return `the server knows no agent ${id}`;
  if (holding.reportedAtMs === 0) return 'it never reported';
  if (holding.reportedAtMs < sinceMs) return 'it has not reported since';
  if (version !== undefined && holding.version !== version)
    return `it reports version ${holding.version}, not ${version}`;
  if (holding.proof === Proof.PROOF_NONE) return `it does not hold the bundle: ${holding.missing.join('; ')}`;
  if (withStreams.includes(id) && holding.streams === 0) return 'no workload is connected to it, and before some were';
  return undefined;
}

// One agent, as a runbook needs it: how it stands, put out, and let in again.
import type { Agent } from '../../proto/gen/spire/api/types/agent.ts';
import { HolderKind } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Holding } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import { RpcError, statusCode } from '../../runtime/rpc/status.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { wireId } from '../control/entries.ts';
import { failure } from '../failures.ts';
import { askTier } from '../trust/ask-tier.ts';
import { listHoldings } from '../trust/judge-claim.ts';
import type { Topology } from '../trust/topology.ts';
import type { AgentLook } from './runbook.ts';

interface Asked {
  readonly topology: Topology;
  readonly tier?: string | undefined;
  readonly agentId: string;
}

/** In the tier that is named, or in the first that knows it. */
export async function lookAtAgent(source: X509Source, asked: Asked, now: number): Promise<AgentLook> {
  const { topology, tier, agentId } = asked;
  const tiers = topology.tiers.filter(({ name }) => tier === undefined || name === tier);
  for (const one of tiers) {
    const found = await askTier(source, topology.trustDomain, one, async (server) => {
      const agent = await findAgent(server, agentId);
      return agent === undefined ? undefined : { agent, holding: await holdingOf(server, agentId) };
    });
    if (found !== undefined) return lookOf(one.name, agentId, found, now);
  }
  if (tier === undefined)
    throw failure('InvalidRequest', `no tier knows agent ${agentId}; name the tier where it was, to look at it there`);
  return { ...unknown, tier, agentId };
}

const unknown = {
  isKnown: false,
  banned: false,
  canReattest: false,
  attestor: '',
  endsAt: '',
  hasExpired: false,
  streams: 0,
  serves: 0,
};

function lookOf(
  tier: string,
  agentId: string,
  { agent, holding }: { readonly agent: Agent; readonly holding: Holding | undefined },
  now: number,
): AgentLook {
  const issued = holding?.issued ?? [];
  const until = Math.max(0, ...issued.map(({ latestNotAfter }) => latestNotAfter * 1000));
  const reported = holding !== undefined && holding.reportedAtMs > 0;
  return {
    tier,
    agentId,
    isKnown: true,
    banned: agent.banned,
    canReattest: agent.canReattest,
    attestor: agent.attestationType,
    endsAt: endOf(agent),
    hasExpired: agent.x509svidExpiresAt * 1000 <= now,
    streams: holding?.streams ?? 0,
    serves: issued.reduce((sum, { count }) => sum + count, 0),
    ...(until === 0 ? {} : { servesUntil: new Date(until).toISOString() }),
    ...(reported ? { silent: holding.silent, heardAt: new Date(holding.reportedAtMs).toISOString() } : {}),
  };
}

export async function ensureBanned({ agent }: SpireServer, agentId: string): Promise<void> {
  try {
    await agent.banAgent({ id: wireId(agentId) });
  } catch (cause) {
    if (!isNotFound(cause)) throw cause;
    throw failure('InvalidRequest', `there is no agent ${agentId} to ban: it has not attested, or was evicted`);
  }
}

/** `endsAt`: RFC 3339; an agent whose SVID ends at another time has attested since, and tried twice this must not put it out again. */
export async function ensureEvicted(
  server: Pick<SpireServer, 'agent'>,
  agentId: string,
  endsAt?: string,
): Promise<void> {
  const { agent } = server;
  if (endsAt !== undefined) {
    const found = await findAgent(server, agentId);
    if (found === undefined || endOf(found) !== endsAt) return;
  }
  try {
    await agent.deleteAgent({ id: wireId(agentId) });
  } catch (cause) {
    if (!isNotFound(cause)) throw cause; // what is not there need not go
  }
}

function endOf({ x509svidExpiresAt }: Agent): string {
  return new Date(x509svidExpiresAt * 1000).toISOString();
}

async function findAgent({ agent }: Pick<SpireServer, 'agent'>, agentId: string): Promise<Agent | undefined> {
  try {
    return await agent.getAgent({ id: wireId(agentId), outputMask: undefined });
  } catch (cause) {
    if (isNotFound(cause)) return undefined;
    throw cause;
  }
}

async function holdingOf(server: SpireServer, agentId: string): Promise<Holding | undefined> {
  for await (const holding of listHoldings(server, { kinds: [HolderKind.AGENT] })) {
    if (holding.id === agentId) return holding;
  }
  return undefined;
}

function isNotFound(cause: unknown): boolean {
  return cause instanceof RpcError && cause.code === statusCode.NOT_FOUND;
}

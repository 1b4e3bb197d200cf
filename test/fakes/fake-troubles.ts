// The fake fleet in trouble: servers that do not answer, datastores that are away, agents that fell silent, entries that are gone.
import { createHash } from 'node:crypto';
import { failure } from '../../activities/failures.ts';
import { checkRunbook } from '../../activities/runbooks/check-runbook.ts';
import type { AgentLook, HolderLook, RunbookActivities, TierLook } from '../../activities/runbooks/runbook.ts';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import { canonicalJson } from '../../activities/trust/canonical-json.ts';
import type { FakeAgent, FakeFleet } from './fake-fleet.ts';

export interface FakeTroubles {
  /** Servers that do not answer. */
  readonly down: Set<string>;
  /** Tiers whose datastore is away. */
  readonly away: Set<string>;
  /** Servers whose authority the bundle does not have. */
  readonly unpublished: Set<string>;
  readonly banned: Set<string>;
  /** Agents whose SVID has ended, and those that attest anew by themselves. */
  readonly expired: Set<string>;
  readonly reattesting: Set<string>;
  readonly evicted: Set<string>;
  /** What a look at any agent says instead. */
  look: Partial<AgentLook>;
  /** What the silent agents of every tier have in common. */
  common: readonly string[];
  /** By tier: SPIFFE IDs. */
  readonly entries: Map<string, string[]>;
  readonly snapshots: Map<
    string,
    { readonly entries: readonly string[]; readonly active: ReadonlyMap<string, string> }
  >;
  /** When the CAs of servers end, epoch milliseconds, where somebody keeps them from another: they answer no more then. */
  readonly caEnds: Map<string, number>;
  /** The end of what agents hold; RFC 3339. */
  endsAt: string;
  activities(): RunbookActivities;
}

const expiresAt = '2030-01-01T00:00:00.000Z';
const heardAt = '2026-01-01T00:00:00.000Z';

export function createFakeTroubles(
  fleet: FakeFleet,
  planOf: (spec: unknown) => Promise<TrustDomainPlan>,
): FakeTroubles {
  const troubles: FakeTroubles = {
    down: new Set(),
    away: new Set(),
    unpublished: new Set(),
    banned: new Set(),
    expired: new Set(),
    reattesting: new Set(),
    evicted: new Set(),
    look: {},
    common: [],
    entries: new Map(
      fleet.topology.tiers.map(({ name }) => [name, Array.from({ length: 20 }, (_, i) => `${name}/${i}`)]),
    ),
    snapshots: new Map(),
    caEnds: new Map(),
    endsAt: expiresAt,
    activities: () => activities,
  };
  let words = 0;

  const silent = (tier: string): [string, FakeAgent][] =>
    [...fleet.agents].filter(([, agent]) => agent.tier === tier && agent.away);
  const agentsOf = (tier: string): HolderLook => {
    const gone = silent(tier);
    return {
      total: [...fleet.agents.values()].filter((agent) => agent.tier === tier).length,
      silentCount: gone.length,
      silent: gone.map(([id]) => ({ id, version: '0.1.0', heardAt })),
      behindCount: 0,
      firstEnd: expiresAt,
      common: gone.length === 0 ? [] : troubles.common,
    };
  };
  const downstreamsOf = (tier: string): HolderLook => {
    const below = fleet.topology.tiers.filter(({ parent }) => parent === tier);
    const gone = below.filter(({ servers }) => servers.every(({ name }) => troubles.down.has(name)));
    const of = (id: string) => ({ id, version: '0.1.0', heardAt });
    const named = gone.map(({ name }) => of(name));
    return { total: below.length, silentCount: gone.length, silent: named, behindCount: 0, common: [] };
  };
  const nobody: HolderLook = { total: 0, silentCount: 0, silent: [], behindCount: 0, common: [] };
  const lookAt = (tier: FakeFleet['topology']['tiers'][number]): TierLook => {
    const servers = tier.servers.map(({ name, address }) => {
      const caEnd = troubles.caEnds.get(name);
      if (troubles.down.has(name)) return { name, address, answers: false, said: 'connection refused' };
      if (caEnd === undefined) return { name, address, answers: true, authority: fleet.servers.get(name)?.active };
      if (caEnd <= Date.now()) return { name, address, answers: false, said: 'certificate has expired' };
      const authority = { authorityId: `${name}#ca`, expiresAt: new Date(caEnd).toISOString() };
      return { name, address, answers: true, authority };
    });
    const isUp = servers.some(({ answers }) => answers);
    const isWhole = isUp && !troubles.away.has(tier.name);
    return {
      tier: tier.name,
      ...(tier.parent === undefined ? {} : { parent: tier.parent }),
      servers,
      datastore: isWhole ? 'answers' : isUp ? 'away' : 'unknown',
      ...(isUp && !isWhole ? { datastoreSaid: 'UNAVAILABLE: database connection failed' } : {}),
      agents: isWhole ? agentsOf(tier.name) : nobody,
      downstreams: isWhole ? downstreamsOf(tier.name) : nobody,
      unpublished: servers.map(({ name }) => name).filter((name) => troubles.unpublished.has(name)),
    };
  };
  const lookAtAgent = (agentId: string, named: string | undefined): AgentLook => {
    const agent = fleet.agents.get(agentId);
    if (agent === undefined && named === undefined) throw failure('InvalidRequest', `no tier knows agent ${agentId}`);
    const isKnown = agent !== undefined && !troubles.evicted.has(agentId);
    words += 1;
    return {
      tier: agent?.tier ?? named ?? '',
      agentId,
      isKnown,
      banned: troubles.banned.has(agentId),
      canReattest: troubles.reattesting.has(agentId),
      attestor: 'aws_iid',
      endsAt: troubles.endsAt,
      hasExpired: troubles.expired.has(agentId),
      silent: agent?.away === true,
      heardAt: agent?.away === true ? heardAt : `2026-01-01T00:00:${String(words % 60).padStart(2, '0')}.000Z`,
      streams: 3,
      serves: 2,
      servesUntil: troubles.endsAt,
      ...troubles.look,
    };
  };
  const missingOf = (tier: string): string[] => {
    const now = new Set(troubles.entries.get(tier));
    return (troubles.snapshots.get(tier)?.entries ?? []).filter((id) => !now.has(id));
  };

  const activities: RunbookActivities = {
    checkRunbook: ({ runbook, request }) => checkRunbook(runbook, request, planOf),
    lookAtTiers: async ({ topology }) => topology.tiers.map(lookAt),
    lookAtAgent: async ({ agentId, tier }) => lookAtAgent(agentId, tier),
    digestAction: async (action) => createHash('sha256').update(canonicalJson(action)).digest('hex'),
    ensureBanned: async ({ agentId }) => void troubles.banned.add(agentId),
    async ensureEvicted({ agentId, endsAt }) {
      if (endsAt !== undefined && !troubles.expired.has(agentId)) return;
      troubles.evicted.add(agentId);
      troubles.expired.delete(agentId);
    },
    snapshotTrust: async ({ topology }) =>
      topology.tiers.map(({ name, servers }) => {
        const entries = [...(troubles.entries.get(name) ?? [])];
        const active = new Map(servers.map((one) => [one.name, fleet.servers.get(one.name)?.active.authorityId ?? '']));
        troubles.snapshots.set(name, { entries, active });
        return { tier: name, file: `snapshot ${name}`, entries: entries.length };
      }),
    async compareEntries({ tier: { name } }) {
      const snapshot = troubles.snapshots.get(name);
      const now = troubles.entries.get(name)?.length ?? 0;
      if (snapshot === undefined) return { before: 0, now, missing: 0, examples: [] };
      const missing = missingOf(name);
      const found = { before: snapshot.entries.length, now, missing: missing.length, examples: missing.slice(0, 3) };
      return { snapshot: `snapshot ${name}`, takenAt: heardAt, ...found };
    },
    async restoreEntries({ tier: { name } }) {
      const missing = missingOf(name);
      troubles.entries.get(name)?.push(...missing);
      return missing.length;
    },
    async compareAuthorities({ tier: { name, servers } }) {
      const snapshot = troubles.snapshots.get(name);
      return {
        ...(snapshot === undefined ? {} : { takenAt: heardAt }),
        servers: servers.map((server) => {
          const now = fleet.servers.get(server.name)?.active ?? { authorityId: '', expiresAt };
          const before = snapshot?.active.get(server.name);
          return { server, now, ...(before === undefined ? {} : { before: { authorityId: before, expiresAt } }) };
        }),
      };
    },
  };
  return troubles;
}

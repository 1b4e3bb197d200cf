// Three tiers of servers and the agents behind them as the rotation workflows see them: servers keep their slots, agents follow what they hear of unless
// they are away, and every claim is judged from what they hold.
import { createHash } from 'node:crypto';
import { checkApproval } from '../../activities/trust/approval.ts';
import { canonicalJson } from '../../activities/trust/canonical-json.ts';
import { checkRotation } from '../../activities/trust/check-rotation.ts';
import { failure } from '../../activities/failures.ts';
import type {
  AuthorityView,
  Claim,
  MissingHolder,
  ServerAuthorities,
  TrustActivities,
} from '../../activities/trust/rotation.ts';
import type { Topology } from '../../activities/trust/topology.ts';

export interface FakeAgent {
  readonly tier: string;
  /** Hears nothing and says nothing. */
  away: boolean;
  readonly knows: Set<string>;
  readonly knowsTainted: Set<string>;
  /** The root that its SVIDs hang on. */
  under: string;
}

interface Slots {
  readonly tier: string;
  active: AuthorityView;
  prepared?: AuthorityView | undefined;
  old?: AuthorityView | undefined;
}

export interface FakeFleet {
  readonly topology: Topology;
  readonly agents: Map<string, FakeAgent>;
  readonly servers: ReadonlyMap<string, Slots>;
  /** Authorities of the bundle, and whether each is tainted. */
  readonly bundle: ReadonlyMap<string, boolean>;
  /** What was done to servers, in order, once for each effect: `activate root-0 root-0#2`. */
  readonly effects: readonly string[];
  readonly reports: readonly object[];
  /** Whether SVIDs that nobody can be asked about have ended. */
  ended: boolean;
  /** Whoever runs the upstream gives it another CA. */
  readonly replaceUpstream: () => void;
  activities(): TrustActivities;
}

const expiresAt = '2030-01-01T00:00:00.000Z';

export function createFakeFleet(trustDomain: string): FakeFleet {
  const topology: Topology = {
    trustDomain,
    tiers: [
      { name: 'root', servers: [server('root-0'), server('root-1')] },
      { name: 'middle', parent: 'root', servers: [server('middle-0')] },
      { name: 'leaf', parent: 'middle', servers: [server('leaf-0')] },
    ],
  };
  const bundle = new Map<string, boolean>();
  const servers = new Map<string, Slots>();
  const agents = new Map<string, FakeAgent>();
  const effects: string[] = [];
  const reports: object[] = [];
  let made = 0;

  const mint = (name: string, tier: string): AuthorityView => {
    made += 1;
    const authorityId = `${name}#${made}`;
    if (tier === 'root') bundle.set(authorityId, false);
    return { authorityId, expiresAt, ...(tier === 'root' ? {} : { upstreamAuthorityId: rootInUse() }) };
  };
  const slotsOf = (name: string): Slots => {
    const found = servers.get(name);
    if (found === undefined) throw failure('Unavailable', `no server ${name}`);
    return found;
  };
  const rootInUse = (): string => slotsOf('root-0').active.authorityId;
  for (const { name: tier, servers: named } of topology.tiers) {
    for (const { name } of named) servers.set(name, { tier, active: mint(name, tier) });
  }
  for (const { name: tier } of topology.tiers) {
    const agent = {
      tier,
      away: false,
      knows: new Set(bundle.keys()),
      knowsTainted: new Set<string>(),
      under: rootInUse(),
    };
    agents.set(`spiffe://${trustDomain}/spire/agent/fake/${tier}`, agent);
  }

  /** Everybody who is there hears of everything; SVIDs under what is tainted are renewed at once, the others in their time, which is now. */
  const settle = (isTimePassing: boolean): void => {
    for (const agent of agents.values()) {
      if (agent.away) continue;
      agent.knows.clear();
      agent.knowsTainted.clear();
      for (const [id, isTainted] of bundle) {
        agent.knows.add(id);
        if (isTainted) agent.knowsTainted.add(id);
      }
      if (isTimePassing || bundle.get(agent.under) !== false) agent.under = rootInUse();
    }
  };

  const lacks: Readonly<Record<Claim, (agent: FakeAgent, id: string) => boolean>> = {
    held: (agent, id) => !agent.knows.has(id),
    moved: (agent, id) => agent.under === id,
    tainted: (agent, id) => (bundle.has(id) && !agent.knowsTainted.has(id)) || agent.under === id,
    ended: () => false,
    gone: (agent, id) => agent.knows.has(id),
  };

  const act = (what: string): void => void effects.push(what);
  const activities: TrustActivities = {
    checkRotation: ({ operation, request }) =>
      checkRotation(operation, request, () => Promise.reject(failure('InvalidRequest', 'the fake fleet has no plans'))),
    async surveyTrust() {
      const silent = [...agents].filter(([, { away }]) => away).map(([id]) => id);
      return {
        authorities: topology.tiers.flatMap((tier) => tier.servers.map(({ name }) => statesOf(name))),
        findings: silent.map((id) => ({
          severity: 'blocker',
          tier: 'leaf',
          what: `1 holders have missed their reports: ${id}`,
        })),
        holders: topology.tiers.map(({ name, servers: of }) => ({
          tier: name,
          servers: of.length,
          agents: 1,
          downstreams: 0,
          streams: 0,
        })),
        expectations: [{ claim: 'held', seconds: 5, why: 'everybody hears of it by push' }],
      };
    },
    digestPlan: async (plan) => createHash('sha256').update(canonicalJson(plan)).digest('hex'),
    readAuthorities: async ({ tier, server: { name, address } }) =>
      servers.has(name)
        ? statesOf(name)
        : { tier, server: { name, address }, active: { authorityId: `${name}#ca`, expiresAt } },
    async ensurePrepared({ server: { name }, notAmong }) {
      const slots = slotsOf(name);
      if (slots.prepared !== undefined && !notAmong.includes(slots.prepared.authorityId)) return slots.prepared;
      slots.prepared = mint(name, slots.tier);
      act(`prepare ${name} ${slots.prepared.authorityId}`);
      return slots.prepared;
    },
    async withdrawPrepared({ server: { name }, notAmong }) {
      const slots = slotsOf(name);
      const { prepared } = slots;
      if (prepared === undefined || notAmong.includes(prepared.authorityId)) return 'nothing was prepared';
      bundle.delete(prepared.authorityId);
      slots.prepared = undefined;
      act(`withdraw ${name} ${prepared.authorityId}`);
      return `authority ${prepared.authorityId} was withdrawn`;
    },
    async ensureActivated({ server: { name }, authorityId }) {
      activate(name, authorityId);
    },
    async ensureReissued({ server: { name }, before, notUnder }) {
      const slots = slotsOf(name);
      const { active, tier } = slots;
      if (!before.includes(active.authorityId) && !notUnder.includes(active.upstreamAuthorityId ?? '')) return active;
      slots.prepared = mint(name, tier);
      activate(name, slots.prepared.authorityId);
      return slots.active;
    },
    async ensureTainted({ server: { name }, authorityId, upstream }) {
      if (bundle.get(authorityId) !== false) return;
      if (!upstream && slotsOf(name).old?.authorityId !== authorityId)
        throw failure('InvalidRequest', `${authorityId} is not old`);
      bundle.set(authorityId, true);
      act(`taint ${name} ${authorityId}`);
    },
    async ensureRevoked({ server: { name }, authorityId, upstream }) {
      if (!bundle.has(authorityId)) return;
      if (bundle.get(authorityId) === false) throw failure('TrustViolation', `${authorityId} is not tainted`);
      bundle.delete(authorityId);
      if (!upstream) slotsOf(name).old = undefined;
      act(`revoke ${name} ${authorityId}`);
    },
    async waitForProof({ topology: { tiers }, claim, authorityIds, without, patienceMs }) {
      settle(claim === 'moved' && patienceMs > 0);
      const named = new Set(tiers.map(({ name }) => name));
      const missing = [...agents].flatMap(([id, agent]): MissingHolder[] =>
        named.has(agent.tier) && !without.includes(id) && authorityIds.some((one) => lacks[claim](agent, one))
          ? [{ tier: agent.tier, kind: 'agent', id, what: `not ${claim}` }]
          : [],
      );
      const waits = claim === 'ended' && !fleet.ended;
      const late: MissingHolder[] = waits ? [{ tier: 'root', kind: 'server', id: 'root', what: 'still valid' }] : [];
      if (patienceMs > 0 && (missing.length > 0 || waits)) await new Promise((resolve) => setTimeout(resolve, 50));
      return {
        proven: missing.length === 0 && !waits,
        tiers: tiers.map(({ name }) => ({
          tier: name,
          shown: 1,
          drained: 0,
          agedOut: 0,
          missing: missing.filter(({ tier }) => tier === name).length,
        })),
        missing: [...missing, ...late],
        certificatesBelow: claim === 'moved' ? missing.length : 0,
      };
    },
    async verifyApproval({ approval, policy, requester }) {
      checkApproval(approval, { policy, requester, roots: [], now: Date.now() });
      const { signature, ...given } = approval;
      return { ...given, at: new Date().toISOString(), signed: signature !== undefined };
    },
    async writeReport({ name, report }) {
      reports.push(report);
      return `/reports/${name}`;
    },
  };

  function activate(name: string, authorityId: string): void {
    const slots = slotsOf(name);
    if (slots.active.authorityId === authorityId) return;
    if (slots.prepared?.authorityId !== authorityId) throw failure('InvalidRequest', `${authorityId} is not prepared`);
    [slots.old, slots.active, slots.prepared] = [slots.active, slots.prepared, undefined];
    act(`activate ${name} ${authorityId}`);
  }

  function statesOf(name: string): ServerAuthorities {
    const { tier, active, prepared, old } = slotsOf(name);
    return {
      tier,
      server: server(name),
      active,
      ...(prepared === undefined ? {} : { prepared }),
      ...(old === undefined ? {} : { old }),
    };
  }

  const fleet: FakeFleet = {
    topology,
    agents,
    servers,
    bundle,
    effects,
    reports,
    ended: true,
    replaceUpstream: () => void (slotsOf('root-0').active = mint('root-0', 'root')),
    activities: () => activities,
  };
  return fleet;
}

function server(name: string) {
  return { name, address: `${name}.example.internal` };
}

// The lab as drills see it: programs and links that are broken and mended, and what of the trust domain goes on meanwhile. SVIDs of a tier whose servers are
// down end by themselves, and an agent whose own has ended is locked out until somebody lets it back in.
import { Context } from '@temporalio/activity';
import { awaitEnd, breakForDrill } from '../../activities/drills/await-end.ts';
import { checkDrill } from '../../activities/drills/check-drill.ts';
import type {
  AddressedWorkload,
  AlertSeen,
  DrillActivities,
  DrillCloudActivities,
  DrillLook,
  LabFault,
  RunbookSeen,
  Tried,
} from '../../activities/drills/drill.ts';
import { failure } from '../../activities/failures.ts';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import type { Topology } from '../../activities/trust/topology.ts';
import type { FakeFleet } from './fake-fleet.ts';
import type { FakeTroubles } from './fake-troubles.ts';

export interface FakeDrills {
  /** What is broken now, in words: `program gcp-server-0`. */
  readonly broken: Set<string>;
  /** What was broken and mended, in order. */
  readonly log: string[];
  /** Whether the lab cuts links. */
  cutsLinks: boolean;
  /** What stops while something is broken, although it must go on: `mtls`, `refusing`, or a tier that does not issue. */
  readonly suffers: Set<string>;
  /** What goes on although it must stop: `issuing`, or `expired` for SVIDs that have ended. */
  readonly survives: Set<string>;
  /** What does not come back when all is mended. */
  readonly lasts: Set<string>;
  /** How long SVIDs last that nobody renews. */
  svidMs: number;
  /** How long the CA of a server that is cut off from the upstream lasts. */
  caMs: number;
  /** How long an agent takes to lose what was deleted; undefined: it never does. */
  losesAfterMs: number | undefined;
  /** What Prometheus says of every alert. */
  alert: AlertSeen['state'];
  /** What the alert receiver started. */
  runbook: RunbookSeen | undefined;
  /** Entries that were deleted and put back, in order. */
  readonly entries: string[];
  control(): DrillActivities;
  cloud(): DrillCloudActivities;
}

export interface FakeDrillsOptions {
  readonly troubles: FakeTroubles;
  readonly fleet: FakeFleet;
  /** Agents whose SVIDs have ended. */
  readonly expired: Set<string>;
  readonly planOf: (spec: unknown) => Promise<TrustDomainPlan>;
}

const fine: Tried = { works: true };
/** As the fake clouds make ids. */
const named = (id: string): string => id.replace(/^i-/, '');
const nameOf = (address: string): string => address.replace(/(\.\d+)?\.internal$/, '');

export function createFakeDrills({ troubles, fleet, expired, planOf }: FakeDrillsOptions): FakeDrills {
  const ends = new Map<string, number>();
  const drills: FakeDrills = {
    broken: new Set(),
    log: [],
    cutsLinks: true,
    suffers: new Set(),
    survives: new Set(),
    lasts: new Set(),
    svidMs: 3_600_000,
    caMs: 3_600_000,
    losesAfterMs: 700,
    alert: 'inactive',
    runbook: undefined,
    entries: [],
    control: () => control,
    cloud: () => cloud,
  };

  const keyOf = (fault: LabFault): string =>
    fault.kind === 'program' ? `program ${fault.instance}` : `link ${fault.instance} ${fault.other}`;
  const setAway = (name: string, away: boolean): void => {
    for (const [id, agent] of fleet.agents) if (id.endsWith(`/${name}`)) agent.away = away;
  };
  const refuse = (said: string): Tried => ({ works: false, said });
  const suffers = (what: string): boolean =>
    (drills.broken.size > 0 && drills.suffers.has(what)) || drills.lasts.has(what);

  function issues({ tiers }: Topology, name: string): Tried {
    const servers = tiers.find((tier) => tier.name === name)?.servers ?? [];
    if (suffers(name)) return refuse('the CA has ended');
    const isUp = servers.some(isServing) || drills.survives.has('issuing');
    return isUp ? fine : refuse('connection refused');
  }

  function isServing({ name: server }: { readonly name: string }): boolean {
    return !troubles.down.has(server) && (troubles.caEnds.get(server) ?? Infinity) > Date.now();
  }

  /** Whoever is cut off from the upstream keeps the CA that it has; with the link comes a new one. */
  function setUpstream(fault: Extract<LabFault, { kind: 'link' }>, lifetimeMs: number): void {
    if (named(fault.other).startsWith('upstream')) troubles.caEnds.set(named(fault.instance), Date.now() + lifetimeMs);
  }

  /** Renewed whenever its tier issues and its agent is let in. */
  function endOf(topology: Topology, { spiffeId, segment, address }: AddressedWorkload, now: number): number {
    const agent = [...expired].find((id) => id.endsWith(`/${nameOf(address)}`));
    if (issues(topology, segment).works && agent === undefined) ends.set(spiffeId, now + drills.svidMs);
    const end = ends.get(spiffeId) ?? now + drills.svidMs;
    if (end <= now) expired.add(`spiffe://${topology.trustDomain}/spire/agent/${segment}/${nameOf(address)}`);
    return end;
  }

  function look(topology: Topology, workloads: readonly AddressedWorkload[]): Omit<DrillLook, 'tiers'> {
    const now = Date.now();
    const shown = workloads.map((one) => ({ one, end: endOf(topology, one, now) }));
    const holds = (end: number): boolean => end > now || drills.survives.has('expired');
    const endedTried = refuse('certificate has expired');
    return {
      at: new Date(now).toISOString(),
      issuance: topology.tiers.map(({ name }) => ({ tier: name, x509: issues(topology, name), jwt: issues(topology, name) })), // prettier-ignore
      workloads: shown.map(({ one: { spiffeId }, end }) =>
        holds(end)
          ? { spiffeId, ...fine, leaf: String(end), endsAt: new Date(end).toISOString() }
          : { spiffeId, ...endedTried },
      ),
      handshakes: shown.flatMap((from) =>
        shown
          .filter((to) => to.one.cloud !== from.one.cloud)
          .map((to) => ({
            from: from.one.spiffeId,
            to: to.one.spiffeId,
            ...(suffers('mtls') ? refuse('connection reset') : holds(from.end) && holds(to.end) ? fine : endedTried),
          })),
      ),
      refusals: shown.map(({ one: { spiffeId }, end }) => ({
        spiffeId,
        ...(suffers('refusing') ? refuse('it admitted the worker') : holds(end) ? fine : endedTried),
      })),
    };
  }

  async function breakNow(fault: LabFault): Promise<void> {
    drills.broken.add(keyOf(fault));
    drills.log.push(`break ${keyOf(fault)}`);
    if (fault.kind === 'program') troubles.down.add(named(fault.instance));
    else {
      setAway(named(fault.instance), true);
      setUpstream(fault, drills.caMs);
    }
  }

  async function mendNow(fault: LabFault): Promise<void> {
    if (drills.broken.delete(keyOf(fault))) drills.log.push(`mend ${keyOf(fault)}`);
    if (fault.kind === 'program') troubles.down.delete(named(fault.instance));
    else {
      setAway(named(fault.instance), false);
      setUpstream(fault, 3_600_000);
    }
  }

  const control: DrillActivities = {
    checkDrill: ({ request }) => checkDrill(request, planOf),
    async checkFaults({ kinds }) {
      if (kinds.includes('link') && !drills.cutsLinks)
        throw failure('Unsupported', 'the lab cuts no links: it has no network namespaces');
      return [...drills.broken].map((what) => `${what} is broken`);
    },
    ensureFault: ({ fault }) =>
      breakForDrill(
        Context.current(),
        () => breakNow(fault),
        () => mendNow(fault),
      ),
    removeFault: ({ fault }) => mendNow(fault),
    async lookAtDrill({ topology, workloads, agent }) {
      const { lookAtTiers, lookAtAgent } = troubles.activities();
      return {
        ...look(topology, workloads),
        tiers: await lookAtTiers({ topology }),
        ...(agent === undefined ? {} : { agent: await lookAtAgent({ topology, ...agent }) }),
      };
    },
    async readWorkloadEntries({ tier: { name }, spiffeId }) {
      const found = (troubles.entries.get(name) ?? []).filter((id) => id.includes(spiffeId));
      if (found.length === 0) throw failure('InvalidRequest', `there is no entry of ${spiffeId}`);
      return found.map((id) => ({ id, spiffeId, entry: '' }));
    },
    async ensureWorkloadEntries({ tier: { name }, entries }) {
      const there = troubles.entries.get(name) ?? [];
      for (const { id } of entries) {
        if (there.includes(id)) continue;
        there.push(id);
        drills.entries.push(`put back ${id}`);
      }
    },
    async removeWorkloadEntries({ tier: { name }, entries }) {
      const there = troubles.entries.get(name) ?? [];
      for (const { id } of entries) {
        if (there.includes(id)) drills.entries.push(`delete ${id}`);
        troubles.entries.set(
          name,
          (troubles.entries.get(name) ?? []).filter((one) => one !== id),
        );
      }
      return drills.losesAfterMs;
    },
    askAlert: async () => ({ state: drills.alert }),
    findRunbook: async () => drills.runbook,
    awaitEnd: (input) => awaitEnd(Context.current(), input), // of workflows that are real
  };
  const cloud: DrillCloudActivities = {
    async ensureDatastoreClosed({ pool }) {
      drills.broken.add(`database ${pool}`);
      troubles.away.add(pool);
    },
    async ensureDatastoreOpen({ pool }) {
      drills.broken.delete(`database ${pool}`);
      troubles.away.delete(pool);
    },
  };
  return drills;
}

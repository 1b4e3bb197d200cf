// What is known of that which an update takes away: who has shown that he has none of it any more, to how many streams that was written, and when the rest
// has ended, of which nobody can be asked. Nothing here is waited for longer than a moment: what was issued stays valid until its end, and that is said.
import type { TrustDomainPlan } from '../../activities/plan.ts';
import type { AgentLook } from '../../activities/runbooks/runbook.ts';
import type { AuthorityView, ProofOutcome } from '../../activities/trust/rotation.ts';
import type { Tier } from '../../activities/trust/topology.ts';
import type { NarrowingProof } from '../../activities/update/update.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { onRunbook, onTrustOnce } from '../lib/calls.ts';
import { rootMessage } from '../lib/failure-message.ts';
import type { AgentAt, Watch } from '../lib/host-removal.ts';

export interface NarrowingProofs {
  readonly all: () => readonly NarrowingProof[];
  /** Identities that nobody gets any more: programs were stopped, and their entries are gone. */
  readonly entriesGone: (spiffeIds: readonly string[], note?: string) => void;
  /** Of a node: what its agent held. */
  readonly ofNode: (name: string) => Watch;
  /** Of a server: what its host’s agent held, and what hangs on its own authorities. `staying`: its tier as it is then; none where it goes whole. */
  readonly ofServer: (server: GoneServer) => Watch;
}

export interface GoneServer {
  readonly name: string;
  readonly tier: string;
  /** Undefined where its cloud does not say. */
  readonly address: string | undefined;
  readonly upstream: Tier;
  readonly staying: Tier | undefined;
}

const patienceMs = 10_000;

export function createNarrowingProofs({ spec }: TrustDomainPlan): NarrowingProofs {
  const { trustDomain, ttl } = spec;
  /** In the order in which it was begun, whatever ends first. */
  const found: (NarrowingProof | undefined)[] = [];
  /** The longest that anything lives which was issued up to now, and asked for no other life. */
  const defaultEnd = (): number => Date.now() + Math.max(parseDuration(ttl.x509Svid), parseDuration(ttl.jwtSvid));
  const begin = (): ((proof: Omit<NarrowingProof, 'agedOutAt'> & { readonly endsAt: number }) => void) => {
    const place = found.push(undefined) - 1;
    return ({ endsAt, ...rest }) => {
      found[place] = { ...rest, agedOutAt: new Date(Math.max(endsAt, Date.now())).toISOString() };
    };
  };

  const ofNode = (name: string): Watch => {
    const keep = begin();
    return async (agent) => {
      const before = await lookAt(agent);
      return async () => {
        const after = await lookAt(agent);
        const isOut = typeof after !== 'string' && !after.isKnown;
        keep({
          of: `node ${name}`,
          shown: isOut ? 1 : 0,
          drained: 0,
          missing: [],
          notes: [
            ...(typeof before === 'string' ? [`its agent could not be looked at: ${before}`] : []),
            ...(isOut ? [] : ['its tier does not say that its agent is out']),
          ],
          endsAt: endOf(before) ?? defaultEnd(),
        });
      };
    };
  };

  /** What was signed under the authorities ends then, as their tier's servers have noted it. */
  const lastEnd = async (tier: Tier, authorityIds: readonly string[]): Promise<number> => {
    const outcome = await ask('ended', [tier], authorityIds, 0);
    if (typeof outcome === 'string') return defaultEnd();
    return outcome.endsAt === undefined ? Date.now() : Date.parse(outcome.endsAt);
  };

  const ask = (claim: 'moved' | 'ended', tiers: readonly Tier[], authorityIds: readonly string[], patience: number) =>
    onTrustOnce()
      .waitForProof({
        ...{ topology: { trustDomain, tiers }, claim, kind: 'x509', authorityIds },
        ...{ without: [], patienceMs: patience },
      })
      .catch(rootMessage);

  const authoritiesOf = async ({ name, tier, address }: GoneServer) => {
    if (address === undefined) return 'its cloud does not list it as running';
    const on = { trustDomain, tier, server: { name, address } };
    try {
      const [x509, jwt] = await Promise.all([
        onTrustOnce().readAuthorities({ ...on, kind: 'x509' }),
        onTrustOnce().readAuthorities({ ...on, kind: 'jwt' }),
      ]);
      const all = ({ active, prepared, old }: typeof x509): AuthorityView[] =>
        [active, prepared, old].flatMap((one) => one ?? []);
      return { x509: all(x509), jwt: all(jwt) };
    } catch (cause) {
      return rootMessage(cause);
    }
  };

  const ofServer = (server: GoneServer): Watch => {
    const [watchHost, keep] = [ofNode(server.name), begin()];
    return async (agent) => {
      const { name, tier, address = '', upstream, staying } = server;
      const whenHostGone = await watchHost(agent);
      const authorities = await authoritiesOf(server);
      const ids = namesOf(typeof authorities === 'string' ? { x509: [], jwt: [] } : authorities);
      // A tier that goes whole cannot be asked any more when it is gone; its nodes went before it.
      const before =
        staying === undefined && ids.all.length > 0
          ? await lastEnd({ name: tier, servers: [{ name, address }] }, ids.all)
          : undefined;
      return async () => {
        await whenHostGone();
        if (typeof authorities === 'string') {
          const notes = [`its authorities could not be read: ${authorities}`];
          keep({ of: `server ${name}`, shown: 0, drained: 0, missing: [], notes, endsAt: defaultEnd() });
          return;
        }
        const asked = [upstream, ...(staying === undefined ? [] : [staying])];
        const moved = await ask('moved', asked, ids.x509, patienceMs);
        const endsAt = before ?? (await lastEnd(staying ?? upstream, ids.all));
        keep({
          of: `server ${name}`,
          ...countsOf(moved),
          notes: [
            ...(typeof moved === 'string' ? [`nobody could be asked who hangs on its authorities: ${moved}`] : []),
            ...authorities.x509.map((one) => `its CA ${one.authorityId} ends at ${one.expiresAt}, and its key is gone`),
            ...authorities.jwt.map(
              (one) => `its JWT key ${one.authorityId} stays in the bundle until ${one.expiresAt}`,
            ),
          ],
          endsAt,
        });
      };
    };
  };

  return {
    all: () => found.flatMap((proof) => proof ?? []),
    entriesGone(spiffeIds, note = 'what holds its SVIDs cannot be asked') {
      for (const of of spiffeIds)
        begin()({
          of,
          shown: 0,
          drained: 0,
          missing: [],
          notes: [note],
          endsAt: defaultEnd(),
        });
    },
    ofNode,
    ofServer,
  };
}

function lookAt({ trustDomain, tier, agentId }: AgentAt): Promise<AgentLook | string> {
  return onRunbook()
    .lookAtAgent({ topology: { trustDomain, tiers: [tier] }, tier: tier.name, agentId })
    .catch(rootMessage);
}

/** Undefined where the agent said nothing of it: plain SPIRE, or one that nobody could look at. */
function endOf(look: AgentLook | string): number | undefined {
  if (typeof look === 'string') return undefined;
  if (!look.isKnown) return 0;
  if (look.heardAt === undefined) return undefined;
  return Math.max(Date.parse(look.endsAt), look.servesUntil === undefined ? 0 : Date.parse(look.servesUntil));
}

function namesOf({ x509, jwt }: { readonly x509: readonly AuthorityView[]; readonly jwt: readonly AuthorityView[] }) {
  const names = (some: readonly AuthorityView[]) => some.map(({ authorityId }) => authorityId);
  return { x509: names(x509), all: names([...x509, ...jwt]) };
}

function countsOf(outcome: ProofOutcome | string): Pick<NarrowingProof, 'shown' | 'drained' | 'missing'> {
  if (typeof outcome === 'string') return { shown: 0, drained: 0, missing: [] };
  const sum = (pick: (tier: ProofOutcome['tiers'][number]) => number) =>
    outcome.tiers.reduce((total, tier) => total + pick(tier), 0);
  return { shown: sum(({ shown }) => shown), drained: sum(({ drained }) => drained), missing: outcome.missing };
}

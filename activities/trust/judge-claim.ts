// Whether one tier bears out a claim, from what its server says of all holders. Never passes on silence: who has said nothing is missing, until what it
// may hold has ended.
import { HolderKind, Proof } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type {
  Authority,
  CountHoldingsResponse,
  Holding,
  ListHoldingsRequest,
} from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import { RpcError, statusCode } from '../../runtime/rpc/status.ts';
import { eachPage } from '../clients/pages.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import type { AuthorityKind, Claim, MissingHolder, TierProof } from './rotation.ts';

export interface TierQuestion {
  readonly tier: string;
  readonly claim: Claim;
  readonly kind: AuthorityKind;
  readonly authorityIds: readonly string[];
  readonly without: readonly string[];
  /** Epoch milliseconds. */
  readonly now: number;
}

export interface TierJudgement {
  readonly proof: TierProof;
  readonly missing: readonly MissingHolder[];
  readonly certificatesBelow: number;
  /** Epoch milliseconds; 0 where nothing is waited for that ends by itself. */
  readonly endsAt: number;
}

type FleetOf = Pick<SpireServer, 'fleet'>;

export async function judgeTier(server: FleetOf, question: TierQuestion): Promise<TierJudgement> {
  return judges[question.claim](server, question);
}

const judges: Readonly<Record<Claim, (server: FleetOf, question: TierQuestion) => Promise<TierJudgement>>> = {
  held: (server, question) =>
    judgeCounted(server, question, ({ published }) => (published ? undefined : 'is not in the bundle')),
  tainted: (server, question) =>
    judgeCounted(server, question, ({ published, tainted }) => (!published || tainted ? undefined : 'is not tainted')),
  gone: (server, question) =>
    judgeCounted(server, question, ({ published }) => (published ? 'is still in the bundle' : undefined)),
  moved: judgeMoved,
  ended: judgeEnded,
};

/** What the server counts by itself: that everybody has an authority as the tier's bundle has it – there, tainted, or gone. */
async function judgeCounted(
  server: FleetOf,
  question: TierQuestion,
  faultOf: (authority: Authority) => string | undefined,
): Promise<TierJudgement> {
  const { authorityIds } = question;
  const judged = await Promise.all(
    authorityIds.map(async (authorityId) => {
      const counted = await count(server, authorityId);
      if (counted === undefined) return unknown(question, authorityId);
      const known = counted.authorities.find((one) => one.authorityId === authorityId);
      const fault = known === undefined ? undefined : faultOf(known);
      return fault === undefined
        ? judgementOf(question, counted)
        : withMissing(question, judgementOf(question, counted), [
            { kind: 'server', id: question.tier, what: `authority ${authorityId} ${fault}` },
          ]);
    }),
  );
  const worst = judged.reduce(worse);
  const behind = judged.some(({ proof }) => proof.missing > 0) ? await namesOfBehind(server, question) : [];
  return settle(question, worst, behind);
}

/** Of two authorities the one that fewer have: the holders are the same. */
function worse(a: TierJudgement, b: TierJudgement): TierJudgement {
  return b.proof.missing > a.proof.missing ? b : a;
}

async function count(server: FleetOf, authorityId: string): Promise<CountHoldingsResponse | undefined> {
  try {
    return await server.fleet.countHoldings({ authorityId });
  } catch (cause) {
    if (cause instanceof RpcError && cause.code === statusCode.NOT_FOUND) return undefined;
    throw cause;
  }
}

/** An authority that a tier has never heard of is missing there, unless that is what is wanted. */
function unknown(question: TierQuestion, authorityId: string): TierJudgement {
  const nothing = { proof: emptyProof(question.tier), missing: [], certificatesBelow: 0, endsAt: 0 };
  if (question.claim !== 'held') return nothing;
  return withMissing(question, nothing, [
    { kind: 'server', id: question.tier, what: `authority ${authorityId} has not come there yet` },
  ]);
}

function judgementOf({ tier }: TierQuestion, { kinds }: CountHoldingsResponse): TierJudgement {
  const sum = (pick: (kind: CountHoldingsResponse['kinds'][number]) => number) =>
    kinds.reduce((total, kind) => total + pick(kind), 0);
  const lagging = sum(({ streamsLagging }) => streamsLagging);
  return {
    proof: {
      tier,
      shown: sum(({ shown }) => shown),
      drained: sum(({ streams }) => streams) - lagging,
      agedOut: sum(({ agedOut }) => agedOut),
      missing: sum(({ behind }) => behind) + (lagging > 0 ? 1 : 0),
    },
    missing: [],
    certificatesBelow: sum(({ certificatesBelow }) => certificatesBelow),
    endsAt: 0,
  };
}

type Unplaced = Omit<MissingHolder, 'tier'>;

function withMissing({ tier }: TierQuestion, judged: TierJudgement, missing: readonly Unplaced[]): TierJudgement {
  const named = missing.map((one) => ({ tier, ...one }));
  const proof = { ...judged.proof, missing: judged.proof.missing + named.length };
  return { ...judged, proof, missing: [...judged.missing, ...named] };
}

/** Names take the place of numbers, less those that somebody has decided to go on without. */
function settle(question: TierQuestion, judged: TierJudgement, behind: readonly Unplaced[]): TierJudgement {
  const missing = [...judged.missing, ...behind.map((one) => ({ tier: question.tier, ...one }))].filter(
    ({ id }) => !question.without.includes(id),
  );
  return { ...judged, proof: { ...judged.proof, missing: missing.length }, missing };
}

async function namesOfBehind(server: FleetOf, { authorityIds }: TierQuestion): Promise<Unplaced[]> {
  const named: Unplaced[] = [];
  for await (const holding of listHoldings(server, { onlyBehind: true })) {
    const lacks = holding.missing.filter((text) => authorityIds.some((id) => text.includes(id)));
    const isBehindAsServer = holding.kind === HolderKind.SERVER && holding.proof === Proof.PROOF_NONE;
    const lagging =
      holding.streamsLagging > 0 && lacks.length === 0
        ? [`${holding.streamsLagging} streams have not been written`]
        : [];
    const what = [...(isBehindAsServer ? holding.missing : lacks), ...lagging].join('; ');
    if (what !== '') named.push({ ...nameOf(holding), what });
  }
  return named;
}

/** Nobody shows or serves anything under the authorities: of agents and downstream servers as they report, of servers by what they sign with. */
async function judgeMoved(server: FleetOf, question: TierQuestion): Promise<TierJudgement> {
  const { tier, authorityIds, now } = question;
  const [missing, sum] = [[] as Unplaced[], { shown: 0, drained: 0, below: 0 }];
  const isUnder = ({ x509AuthorityIds }: { readonly x509AuthorityIds: readonly string[] }): boolean =>
    x509AuthorityIds.some((id) => authorityIds.includes(id));
  for await (const holding of listHoldings(server, { kinds: [HolderKind.AGENT, HolderKind.DOWNSTREAM] })) {
    const { own, issued, reportedAtMs, streams, streamsLagging } = holding;
    const below = [...(own === undefined ? [] : [own]), ...issued]
      .filter(isUnder)
      .filter(({ latestNotAfter }) => latestNotAfter * 1000 > now);
    sum.below += below.reduce((total, { count: certificates }) => total + certificates, 0);
    // A plain SPIRE agent says nothing: what it may hold is waited for as everything else that nobody can be asked about.
    if (reportedAtMs === 0) continue;
    if (below.length === 0) {
      sum.shown += 1;
      sum.drained += streams - streamsLagging;
      continue;
    }
    const isOwn = own !== undefined && isUnder(own);
    const served = issued.filter(isUnder).reduce((total, { count: certificates }) => total + certificates, 0);
    const what = `${isOwn ? 'its own certificate' : ''}${isOwn && served > 0 ? ' and ' : ''}${served > 0 ? `${served} SVIDs that it serves` : ''} under the old authority`;
    missing.push({ ...nameOf(holding), what });
  }
  const proof = { tier, shown: sum.shown, drained: sum.drained, agedOut: 0, missing: missing.length };
  return settle(question, { proof, missing: [], certificatesBelow: sum.below, endsAt: 0 }, missing);
}

/** What was signed under the authorities and nobody can be asked about: minted SVIDs, one-shot fetches, plain SPIRE agents and servers. */
async function judgeEnded(server: FleetOf, question: TierQuestion): Promise<TierJudgement> {
  const { tier, authorityIds, now } = question;
  const { authorities } = await server.fleet.countHoldings({ authorityId: '' });
  const known = authorities.filter(({ authorityId }) => authorityIds.includes(authorityId));
  const endsAt = Math.max(
    0,
    ...known.map(({ latestNotAfter, unaccountedCaNotAfter }) => Math.max(latestNotAfter, unaccountedCaNotAfter) * 1000),
  );
  const proof = { ...emptyProof(tier), agedOut: known.length };
  if (endsAt <= now) return { proof, missing: [], certificatesBelow: 0, endsAt };
  const holders = [...new Set(known.flatMap(({ unaccountedCaHolders }) => unaccountedCaHolders))];
  const what =
    holders.length === 0
      ? 'SVIDs signed under the old authority that nobody can be asked about are still valid'
      : `SVIDs and the CA certificates of ${holders.join(', ')} under the old authority are still valid`;
  const missing: Unplaced = { kind: 'server', id: tier, what: `${what} until ${new Date(endsAt).toISOString()}` };
  return settle(question, { proof, missing: [], certificatesBelow: 0, endsAt }, [missing]);
}

function emptyProof(tier: string): TierProof {
  return { tier, shown: 0, drained: 0, agedOut: 0, missing: 0 };
}

const kindNames: Readonly<Record<number, MissingHolder['kind']>> = {
  [HolderKind.SERVER]: 'server',
  [HolderKind.AGENT]: 'agent',
  [HolderKind.DOWNSTREAM]: 'downstream',
};

export function nameOf({ kind, id, behindSinceMs }: Holding): Omit<Unplaced, 'what'> {
  const since = behindSinceMs === 0 ? {} : { since: new Date(behindSinceMs).toISOString() };
  return { kind: kindNames[kind] ?? 'agent', id, ...since };
}

const pageSize = 1_000;

export async function* listHoldings(
  { fleet }: FleetOf,
  wanted: Partial<Pick<ListHoldingsRequest, 'kinds' | 'onlyBehind'>>,
): AsyncGenerator<Holding> {
  const ask = (pageToken: string) =>
    fleet.listHoldings({ pageSize, kinds: [], onlyBehind: false, ...wanted, pageToken });
  for await (const { holdings } of eachPage(ask)) yield* holdings;
}

/** All of them at once, where every one is looked at more than once. */
export async function allHoldings(server: FleetOf): Promise<Holding[]> {
  const found: Holding[] = [];
  for await (const holding of listHoldings(server, {})) found.push(holding);
  return found;
}

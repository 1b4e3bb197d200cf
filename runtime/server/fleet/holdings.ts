// One tier's truth: every holder, a page at a time, and the same counted. What is said of the bundle is said of the store's, not of a server's copy.
import { HolderKind, Proof } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type {
  Authority,
  CountHoldingsResponse,
  Holding,
  HoldingsOfKind,
} from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { heartbeatOf } from '../../spiffe/heartbeat.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import { StoreError } from '../store/errors.ts';
import type { AuthorityKindName, AuthorityLife, FleetHolder } from '../store/fleet-records.ts';
import type { FleetStore, IssuanceStore, ReplicaStore } from '../store/store.ts';
import { holdingOfAgent, holdingOfDownstream, holdingOfServer } from './holders.ts';
import type { Tier } from './holders.ts';
import type { WantedAuthority } from './judge-holding.ts';
import type { AuthorityNotes } from './note-authorities.ts';
import { unaccountedCas } from './unaccounted-cas.ts';
import type { UnaccountedCas } from './unaccounted-cas.ts';
import type { ReportBuffer } from './report-buffer.ts';

export interface HoldingsPage {
  readonly size: number;
  /** '' for the first. */
  readonly token: string;
  /** None: all. */
  readonly kinds: readonly HolderKind[];
  readonly onlyBehind: boolean;
}

export interface Holdings {
  /** How often holders are to report where nothing changes. */
  readonly heartbeatMs: number;
  list(page: HoldingsPage): Promise<{ holdings: Holding[]; nextPageToken: string }>;
  /** '' for the whole bundle. Throws NOT_FOUND. */
  count(authorityId: string): Promise<CountHoldingsResponse>;
}

export interface HoldingsOptions {
  readonly store: FleetStore & ReplicaStore & Pick<IssuanceStore, 'listDownstreamCas'>;
  readonly reports: Pick<ReportBuffer, 'flush'>;
  readonly notes: Pick<AuthorityNotes, 'settled'>;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'refreshBundle'>;
  readonly agentTtlMs: number;
  readonly clock: () => number;
}

interface Placed {
  readonly holding: Holding;
  /** To go on behind it. */
  readonly token: string;
}

const order = [HolderKind.SERVER, HolderKind.AGENT, HolderKind.DOWNSTREAM] as const;
const rowsAtOnce = 500;

export function createHoldings(options: HoldingsOptions): Holdings {
  const { store, reports, notes, authority, agentTtlMs, clock } = options;

  const tierOf = async (authorityId: string): Promise<Tier & { lives: readonly WantedAuthority[] }> => {
    await Promise.all([authority.refreshBundle(), reports.flush()]);
    await notes.settled();
    const bundle = authority.bundle();
    const lives = new Map(
      (await store.listAuthorityLives(Math.floor(clock() / 1000))).map((life) => [keyOf(life), life]),
    );
    const present = [
      ...bundle.x509Authorities.map((one) => wanted('x509', x509AuthorityId(one), one.tainted === true, lives)),
      ...bundle.jwtAuthorities.map((one) => wanted('jwt', one.keyId, one.tainted === true, lives)),
    ];
    const keys = new Set(present.map(keyOf));
    const gone = [...lives.values()].filter((life) => life.revokedAt > 0 && !keys.has(keyOf(life)));
    const isAsked = (life: AuthorityLife) => authorityId === '' || life.authorityId === authorityId;
    const asked = { present: present.filter(isAsked), gone: gone.filter(isAsked) };
    if (authorityId !== '' && asked.present.length + asked.gone.length === 0)
      throw new StoreError('NOT_FOUND', `no authority ${JSON.stringify(authorityId)}`);
    const others = [...lives.values()].filter((life) => !keys.has(keyOf(life)) && life.signedUntil * 1000 > clock());
    const all = [...present, ...others.map((life) => ({ ...life, tainted: life.taintedAt > 0 }))];
    return { wanted: asked, sequenceNumber: bundle.sequenceNumber, agentTtlMs, now: clock(), lives: all };
  };

  async function* holders(tier: Tier, kinds: readonly HolderKind[], from: Position): AsyncGenerator<Placed> {
    for (const [place, kind] of order.entries()) {
      if (place < from.place || (kinds.length > 0 && !kinds.includes(kind))) continue;
      const after = place === from.place ? from.after : 0;
      const placed = (holding: Holding, seq: number): Placed => ({ holding, token: `${place}.${seq}` });
      if (kind === HolderKind.SERVER) {
        const live = (await store.listReplicas()).filter(({ isLive }) => isLive);
        for (const [i, replica] of live.entries()) if (i >= after) yield placed(holdingOfServer(replica, tier), i + 1);
        continue;
      }
      const isAgent = kind === HolderKind.AGENT;
      const holdingOf = isAgent ? holdingOfAgent : holdingOfDownstream;
      for (let next: number | undefined = after; next !== undefined;) {
        const rows: readonly FleetHolder[] = await (isAgent
          ? store.listFleetAgents(next, rowsAtOnce)
          : store.listFleetDownstreams(next, rowsAtOnce));
        for (const row of rows) yield placed(holdingOf(row, tier), row.seq);
        next = rows.length < rowsAtOnce ? undefined : rows.at(-1)?.seq;
      }
    }
  }

  return {
    heartbeatMs: heartbeatOf(agentTtlMs),
    async list({ size, token, kinds, onlyBehind }) {
      const from = parseToken(token);
      const tier = await tierOf('');
      const page: Placed[] = [];
      for await (const placed of holders(tier, kinds, from)) {
        if (onlyBehind && !isBehind(placed.holding)) continue;
        page.push(placed);
        if (page.length > size) break;
      }
      const shown = page.slice(0, size);
      const nextPageToken = page.length > size ? (shown.at(-1)?.token ?? '') : '';
      return { holdings: shown.map(({ holding }) => holding), nextPageToken };
    },
    async count(authorityId) {
      const tier = await tierOf(authorityId);
      const kinds = new Map(order.map((kind) => [kind as HolderKind, noneOf(kind)]));
      const downstreams: Holding[] = [];
      for await (const { holding } of holders(tier, [], { place: 0, after: 0 })) {
        const sum = kinds.get(holding.kind);
        if (sum !== undefined) addTo(sum, holding, authorityId);
        if (holding.kind === HolderKind.DOWNSTREAM) downstreams.push(holding);
      }
      const signed = await store.listDownstreamCas(Math.floor(clock() / 1000));
      const authorities = tier.lives.map((life) => ({
        ...wireOf(life),
        ...unaccountedCas(life.authorityId, signed, downstreams),
      }));
      return { kinds: [...kinds.values()], authorities, nowMs: clock() };
    },
  };
}

interface Position {
  readonly place: number;
  readonly after: number;
}

function parseToken(token: string): Position {
  if (token === '') return { place: 0, after: 0 };
  const [, place, after] = /^([0-2])\.([0-9]{1,15})$/.exec(token) ?? [];
  if (place === undefined || after === undefined)
    throw new StoreError('INVALID', `could not parse token ${JSON.stringify(token)}`);
  return { place: Number(place), after: Number(after) };
}

function keyOf({ kind, authorityId }: AuthorityLife): string {
  return `${kind} ${authorityId}`;
}

function wanted(
  kind: AuthorityKindName,
  authorityId: string,
  tainted: boolean,
  lives: ReadonlyMap<string, AuthorityLife>,
): WantedAuthority {
  const unknown = { kind, authorityId, publishedAt: 0, taintedAt: 0, revokedAt: 0, signedUntil: 0 };
  return { ...(lives.get(keyOf(unknown)) ?? unknown), tainted };
}

function isBehind({ proof, streamsProof }: Holding): boolean {
  return proof === Proof.PROOF_NONE || streamsProof === Proof.PROOF_NONE;
}

function noneOf(kind: HolderKind): HoldingsOfKind {
  const counts = { total: 0, shown: 0, agedOut: 0, behind: 0, silent: 0, streams: 0, streamsLagging: 0 };
  return { kind, ...counts, holdersBelow: 0, certificatesBelow: 0, latestNotAfterBelow: 0, behindSinceMs: 0 };
}

function addTo(sum: HoldingsOfKind, holding: Holding, authorityId: string): void {
  const { proof, silent, streams, streamsLagging, behindSinceMs, own, issued } = holding;
  sum.total += 1;
  if (proof === Proof.PROOF_SHOWN) sum.shown += 1;
  if (proof === Proof.PROOF_AGED_OUT) sum.agedOut += 1;
  if (proof === Proof.PROOF_NONE) sum.behind += 1;
  if (silent) sum.silent += 1;
  sum.streams += streams;
  sum.streamsLagging += streamsLagging;
  if (behindSinceMs > 0)
    sum.behindSinceMs = sum.behindSinceMs === 0 ? behindSinceMs : Math.min(sum.behindSinceMs, behindSinceMs);
  const below = [...(own === undefined ? [] : [own]), ...issued].filter((one) =>
    one.x509AuthorityIds.includes(authorityId),
  );
  if (below.length > 0) sum.holdersBelow += 1;
  for (const { count, latestNotAfter } of below) {
    sum.certificatesBelow += count;
    sum.latestNotAfterBelow = Math.max(sum.latestNotAfterBelow, latestNotAfter);
  }
}

function wireOf(life: WantedAuthority): Omit<Authority, keyof UnaccountedCas> {
  return {
    authorityId: life.authorityId,
    jwt: life.kind === 'jwt',
    tainted: life.tainted,
    published: life.revokedAt === 0 && life.publishedAt > 0,
    publishedAtMs: life.publishedAt,
    taintedAtMs: life.taintedAt,
    revokedAtMs: life.revokedAt,
    latestNotAfter: life.signedUntil,
  };
}

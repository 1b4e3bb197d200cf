// The holders of one tier as they are listed: this database's servers, then agents, then the servers below, each with what it holds and the proof of it.
import { HolderKind, Proof } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Holding, IssuedCertificates } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { heartbeatOf } from '../../spiffe/heartbeat.ts';
import type { CertificatesBelow, FleetHolder } from '../store/fleet-records.ts';
import type { HeldAuthority, ReplicaRecord } from '../store/records.ts';
import { shortfallsOf, unprovenOf } from './judge-holding.ts';
import type { Shortfall, Wanted } from './judge-holding.ts';

const missedHeartbeats = 3;

export interface Tier {
  readonly wanted: Wanted;
  /** Of the bundle in the store. */
  readonly sequenceNumber: number;
  /** Of the agents' own SVIDs. */
  readonly agentTtlMs: number;
  /** Epoch ms. */
  readonly now: number;
}

const nothingHeld = {
  instance: '',
  clockSkewMs: 0,
  silent: false,
  x509Authorities: [],
  jwtAuthorities: [],
  own: undefined,
  issued: [],
  streams: 0,
  streamsLagging: 0,
};

/** A server has what it has applied of the bundle. */
export function holdingOfServer(replica: ReplicaRecord, tier: Tier): Holding {
  const { id, version, appliedSequence, authorities, heartbeatAt, appliedAt } = replica;
  const { present, gone } = tier.wanted;
  const isBehind = appliedSequence < tier.sequenceNumber;
  const changes = [...present, ...gone].flatMap((life) => [life.publishedAt, life.taintedAt, life.revokedAt]);
  const since = changes.filter((at) => at >= appliedAt * 1000).reduce((a, b) => Math.min(a, b), tier.now);
  const shortfalls = isBehind
    ? [{ text: `has applied bundle ${appliedSequence}, want ${tier.sequenceNumber}`, since }]
    : [];
  const slots = [authorities.x509.active, authorities.x509.prepared, authorities.x509.old];
  return {
    ...nothingHeld,
    kind: HolderKind.SERVER,
    id,
    version,
    reportedAtMs: heartbeatAt * 1000,
    x509Authorities: isBehind ? [] : wireOf(tier.wanted, 'x509'),
    jwtAuthorities: isBehind ? [] : wireOf(tier.wanted, 'jwt'),
    issued: slots.flatMap((slot) => (slot === undefined ? [] : [ofSlot(slot)])),
    ...judged(shortfalls, 0, false),
  };
}

export function holdingOfAgent(holder: FleetHolder, tier: Tier): Holding {
  const { svidExpiresAt } = holder;
  const isGone = svidExpiresAt * 1000 <= tier.now;
  const shortfalls = shortfallsOfHolder(holder, svidExpiresAt * 1000 - tier.agentTtlMs, tier);
  return holdingOf(HolderKind.AGENT, holder, shortfalls, isGone, tier);
}

export function holdingOfDownstream(holder: FleetHolder, tier: Tier): Holding {
  const isGone = (holder.report?.own?.latestNotAfter ?? 0) * 1000 <= tier.now;
  return holdingOf(HolderKind.DOWNSTREAM, holder, shortfallsOfHolder(holder, 0, tier), isGone, tier);
}

function shortfallsOfHolder({ report }: FleetHolder, svidSignedAt: number, { wanted, now }: Tier): Shortfall[] {
  return report === undefined ? unprovenOf(wanted, svidSignedAt, now) : shortfallsOf(report, wanted);
}

function holdingOf(
  kind: HolderKind,
  { spiffeId, instance, version, reportedAt, report }: FleetHolder,
  shortfalls: readonly Shortfall[],
  isGone: boolean,
  { now, agentTtlMs }: Tier,
): Holding {
  const base = { ...nothingHeld, kind, id: spiffeId, instance };
  if (report === undefined) {
    const proofs = shortfalls.length === 0 || isGone ? agedOut : judged(shortfalls, 0, false);
    return { ...base, version, reportedAtMs: 0, ...proofs };
  }
  return {
    ...base,
    version: report.version,
    reportedAtMs: reportedAt,
    clockSkewMs: report.clockSkewMs,
    silent: now - reportedAt > missedHeartbeats * heartbeatOf(agentTtlMs),
    x509Authorities: [...report.x509],
    jwtAuthorities: [...report.jwt],
    own: report.own && toWire(report.own),
    issued: report.issued.map(toWire),
    streams: report.streams,
    streamsLagging: report.streamsLagging,
    ...judged(shortfalls, report.streamsLagging, isGone),
  };
}

type Judgement = Pick<Holding, 'proof' | 'streamsProof' | 'behindSinceMs' | 'missing'>;

const agedOut: Judgement = {
  proof: Proof.PROOF_AGED_OUT,
  streamsProof: Proof.PROOF_AGED_OUT,
  behindSinceMs: 0,
  missing: [],
};

function judged(shortfalls: readonly Shortfall[], streamsLagging: number, isGone: boolean): Judgement {
  if (shortfalls.length > 0 && isGone) return agedOut;
  const proof = shortfalls.length === 0 ? Proof.PROOF_SHOWN : Proof.PROOF_NONE;
  const isDrained = shortfalls.length === 0 && streamsLagging === 0;
  return {
    proof,
    streamsProof: isDrained ? Proof.PROOF_DRAINED : Proof.PROOF_NONE,
    behindSinceMs: shortfalls.length === 0 ? 0 : Math.min(...shortfalls.map(({ since }) => since)),
    missing: shortfalls.map(({ text }) => text),
  };
}

function wireOf({ present }: Wanted, kind: 'x509' | 'jwt') {
  return present.filter((one) => one.kind === kind).map(({ authorityId, tainted }) => ({ authorityId, tainted }));
}

function ofSlot({ authorityId, upstreamAuthorityId, expiresAt }: HeldAuthority): IssuedCertificates {
  const above = upstreamAuthorityId === undefined ? [] : [upstreamAuthorityId];
  const notAfter = Math.floor(expiresAt / 1000);
  return { x509AuthorityIds: [authorityId, ...above], count: 1, earliestNotAfter: notAfter, latestNotAfter: notAfter };
}

function toWire({ authorityIds, ...rest }: CertificatesBelow): IssuedCertificates {
  return { x509AuthorityIds: [...authorityIds], ...rest };
}

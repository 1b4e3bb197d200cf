// Puts the CA together: slots restored from the journal or made anew, rotated by the clock, with the bundle and the server's own identity kept fresh.
import { randomUUID } from 'node:crypto';
import { generateKeyPair } from '../../pki/key-type.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import { createIdleMetrics } from '../../telemetry/registry.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import { version } from '../version.ts';
import { AuthorityError } from './authority.ts';
import type { CertificateAuthority } from './authority.ts';
import type { AuthorityContext } from './authority-context.ts';
import { createExclusion } from './exclusively.ts';
import { createIntents } from './intents.ts';
import { openJournal } from './journal.ts';
import {
  createJwtAuthorities,
  publishJwtAuthority,
  restoreJwtSlots,
  warnWithoutJwtUpstream,
} from './jwt-authorities.ts';
import { createLiveBundle } from './live-bundle.ts';
import { startMaintenance } from './maintenance.ts';
import { measureKind } from './measured-kind.ts';
import { createPresence } from './presence.ts';
import { createRotation } from './rotation.ts';
import type { AuthorityKind, RestoredSlots } from './rotation.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';
import { createServerIdentity } from './server-identity.ts';
import { createSigning } from './sign.ts';
import { openSignedUntil } from './signed-until.ts';
import { stateOf } from './slot.ts';
import type { Slot } from './slot.ts';
import { createTick } from './tick.ts';
import { createTierControl } from './tier-control.ts';
import { createUpstreamBundleSync } from './upstream-bundle.ts';
import { createVouching, rootIdOf } from './vouching.ts';
import { createX509Authorities, restoreX509Slots } from './x509-authorities.ts';

export interface CreateAuthorityOptions extends Omit<AuthorityContext, 'signal' | 'live' | 'intend' | 'metrics'> {
  readonly metrics?: Metrics;
  /** Gives up waiting for the upstream at the start. */
  readonly signal?: AbortSignal;
  /** Between looks at the clock. */
  readonly tickMs?: number;
  /** How long the start waits for an upstream that does not answer yet. */
  readonly upstreamPatienceMs?: number;
  /** How long an act waits for other servers. */
  readonly patienceMs?: number;
}

const defaultTickMs = 10_000;
/** More failed rotations in a row than this, and the server is not healthy. */
const maxFailures = 10;

/** Resolves once X509-SVIDs and JWT-SVIDs can be signed. Throws what the last attempt met. */
export async function createAuthority(options: CreateAuthorityOptions): Promise<CertificateAuthority> {
  const { store, keys, trustDomain, log, config, clock, upstream, faultPoint, patienceMs } = options;
  const closing = new AbortController();
  const signals = options.signal === undefined ? [closing.signal] : [closing.signal, options.signal];
  const replicaId = randomUUID();
  const live = createLiveBundle(store, trustDomain, log);
  const intend = createIntents({ store, replicaId, log });
  const { metrics = createIdleMetrics() } = options;
  const context: AuthorityContext = { ...options, metrics, signal: AbortSignal.any(signals), live, intend };
  warnWithoutJwtUpstream(context);
  await live.refresh();
  const vouching = createVouching(live.current);
  const journal = await openJournal({ store, keys, log });
  const exclusively = createExclusion();

  const rotationOf = async <S extends Slot>(kind: AuthorityKind<S>, restored: RestoredSlots<S>) => {
    const marks = await openSignedUntil({ kind: kind.name, store, log, clock, restored });
    const beforeActivation = (slot: S) => marks.cover(slot, clock());
    const hooks = { beforeActivation, onRetired: marks.retire, faultPoint };
    return {
      marks,
      ...createRotation({ kind: measureKind(kind, metrics), restored, clock, log, exclusively, ...hooks }),
    };
  };
  const records = { x509: { journal, vouching: vouching.x509 }, jwt: { journal, vouching: vouching.jwt } };
  const x509 = await rotationOf(createX509Authorities(context, records.x509), restoreX509Slots(context, records.x509));
  const jwt =
    config.disableJwtSvids === true
      ? undefined
      : await rotationOf(createJwtAuthorities(context, records.jwt), restoreJwtSlots(context, records.jwt));
  const signing = createSigning({
    context,
    activeX509: x509.signing,
    activeJwt: jwt?.signing,
    marks: { x509: x509.marks, jwt: jwt?.marks },
    intend,
  });
  const { isTainted } = vouching.x509;
  const identity = createServerIdentity({ context, activeX509: x509.active, sign: signing.signX509SvidNow, isTainted });

  let appliedSequence = 0;
  const states = () => ({ x509: x509.control.states(), jwt: jwt?.control.states() ?? {} });
  const presence = createPresence({
    store,
    log,
    id: replicaId,
    version,
    state: () => ({ appliedSequence, authorities: states() }),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  /** What the bundle in the store demands of this server; the others hear when it is done. */
  const apply = async (): Promise<void> => {
    const { sequenceNumber } = await live.refresh();
    if (isTainted(x509.active())) await x509.tick();
    x509.forgetUnpublished();
    jwt?.forgetUnpublished();
    await identity.renewIfDue();
    // Of two that overlap the one that knows the present bundle counts.
    if (live.current().sequenceNumber === sequenceNumber) appliedSequence = sequenceNumber;
    await presence.report();
  };

  const { tick, failures } = createTick({ context, x509, jwt, journal, apply });
  const close = async (): Promise<void> => {
    closing.abort();
    live.close();
    // What runs now runs to its end, before the store is closed behind it.
    await exclusively(() => Promise.resolve());
    await presence.close();
    upstream?.close();
  };
  try {
    await retryWhileUnavailable(tick, options.upstreamPatienceMs, context);
  } catch (error) {
    await close();
    throw error;
  }

  const maintenance = startMaintenance({ context, tick, tickMs: options.tickMs ?? defaultTickMs });
  // A taint must not wait for the next look at the clock.
  live.onChange(() => maintenance.tickSoon());
  const sync = createUpstreamBundleSync({
    context,
    async beforeTaint(roots) {
      await x509.replaceIf((slot) => roots.has(rootIdOf(slot)));
      await presence.report();
      // The others hear of it from the upstream as we did. One that cannot follow does not keep the mark from everybody else.
      const under = await presence.untilNone(({ authorities: { x509: held } }) =>
        roots.has(held.active?.upstreamAuthorityId ?? ''),
      );
      for (const { id } of under) log.warn({ replica: id }, 'Another server still signs under a tainted authority');
    },
    // Revoked while we were away: whoever has the upstream's bundle would refuse what we sign. Ours keeps it until it ends, as we cannot tell.
    replaceOthers: (roots) => x509.replaceIf((slot) => !roots.has(rootIdOf(slot))),
  });
  const following = upstream?.watchBundle?.(sync, context.signal).catch((error: unknown) => {
    if (!context.signal.aborted) log.error({ err: error }, 'the upstream bundle is no longer followed');
  });

  const appliedEverywhere = async (): Promise<void> => {
    await apply();
    await presence.untilApplied(live.current().sequenceNumber);
  };
  const { close: stopTierControl, ...tierControl } = createTierControl({
    context,
    replicaId,
    x509: x509.control,
    jwt: jwt?.control,
    apply,
    appliedEverywhere,
    patienceMs,
  });
  return {
    ...signing,
    ...tierControl,
    x509Authority: () => stateOf(x509.active()),
    jwtAuthority() {
      if (jwt === undefined) throw new AuthorityError('JWT_DISABLED', 'JWT-SVIDs are disabled');
      return stateOf(jwt.active());
    },
    replicaId,
    appliedEverywhere,
    bundle: live.current,
    async refreshBundle() {
      await live.refresh();
    },
    onBundle: live.onChange,
    async publishJwtAuthority(authority) {
      await publishJwtAuthority(context, authority);
      await apply();
      return live.current().jwtAuthorities;
    },
    serverCredentials: identity.credentials,
    async checkSigning() {
      const { publicKey } = await generateKeyPair('ec-p256');
      const spiffeId = createSpiffeId(trustDomain, '/for/health/check/only');
      await signing.signX509Svid({ publicKey, spiffeId, ttlMs: 1_000 });
    },
    checkRotation() {
      const failed = new AuthorityError('NOT_READY', 'rotations exceed the threshold number of failures');
      return failures() > maxFailures ? Promise.reject(failed) : Promise.resolve();
    },
    async close() {
      maintenance.stop();
      closing.abort();
      await stopTierControl();
      await maintenance.stopped();
      await following;
      await close();
    },
  };
}

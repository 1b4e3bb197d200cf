// Puts the CA together: slots restored from the journal or made anew, rotated by the clock, with the bundle and the server's own identity kept fresh.
import { setTimeout as sleep } from 'node:timers/promises';
import { generateKeyPair } from '../../pki/key-type.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import { version } from '../version.ts';
import { AuthorityError } from './authority.ts';
import type { CertificateAuthority, SlotControl } from './authority.ts';
import type { AuthorityContext } from './authority-context.ts';
import { createExclusion } from './exclusively.ts';
import { openJournal } from './journal.ts';
import { createJwtAuthorities, publishJwtAuthority, restoreJwtSlots } from './jwt-authorities.ts';
import { createLiveBundle } from './live-bundle.ts';
import { startMaintenance } from './maintenance.ts';
import { createPresence } from './presence.ts';
import { createRotation } from './rotation.ts';
import { createServerIdentity } from './server-identity.ts';
import { createSigning } from './sign.ts';
import { stateOf } from './slot.ts';
import type { X509Slot } from './slot.ts';
import { createUpstreamBundleSync } from './upstream-bundle.ts';
import { createX509Authorities, restoreX509Slots } from './x509-authorities.ts';

export interface CreateAuthorityOptions extends Omit<AuthorityContext, 'signal'> {
  /** Gives up waiting for the upstream at the start. */
  readonly signal?: AbortSignal;
  /** Between looks at the clock. */
  readonly tickMs?: number;
  /** How long the start waits for an upstream that does not answer yet. */
  readonly upstreamPatienceMs?: number;
}

const defaultTickMs = 10_000;
const defaultUpstreamPatienceMs = 300_000;
const firstRetryMs = 500;
const maxRetryMs = 5_000;
/** More failed rotations in a row than this, and the server is not healthy. */
const maxFailures = 10;

/** Resolves once X509-SVIDs and JWT-SVIDs can be signed. Throws what the last attempt met. */
export async function createAuthority(options: CreateAuthorityOptions): Promise<CertificateAuthority> {
  const { store, keys, trustDomain, log, config, upstream } = options;
  const closing = new AbortController();
  const signals = options.signal === undefined ? [closing.signal] : [closing.signal, options.signal];
  const context: AuthorityContext = { ...options, signal: AbortSignal.any(signals) };
  const live = createLiveBundle(store, trustDomain, log);
  const bundle = await live.refresh();
  const journal = await openJournal({ store, keys, log });
  const exclusively = createExclusion();
  const common = { clock: context.clock, log, exclusively };

  const x509 = createRotation({
    ...common,
    kind: createX509Authorities(context, journal),
    restored: restoreX509Slots(context, journal, bundle),
  });
  const jwt =
    config.disableJwtSvids === true
      ? undefined
      : createRotation({
          ...common,
          kind: createJwtAuthorities(context, journal),
          restored: restoreJwtSlots(context, journal, bundle),
        });
  const signing = createSigning({ context, activeX509: x509.active, activeJwt: jwt?.active });

  const isTainted = ({ authorityId, upstreamAuthorityId }: X509Slot): boolean => {
    const root = upstreamAuthorityId ?? authorityId;
    return live.current().x509Authorities.some((held) => held.tainted === true && x509AuthorityId(held) === root);
  };
  const identity = createServerIdentity({ context, activeX509: x509.active, sign: signing.signX509SvidNow, isTainted });

  let appliedSequence = 0;
  const presence = createPresence({
    store,
    log,
    version,
    state: () => ({
      appliedSequence,
      authorities: { x509: x509.control.states(), jwt: jwt?.control.states() ?? {} },
    }),
  });
  /** What the bundle in the store demands of this server; the others hear when it is done. */
  const apply = async (): Promise<void> => {
    const { sequenceNumber } = await live.refresh();
    await identity.renewIfDue();
    appliedSequence = sequenceNumber;
    await presence.report();
  };

  let failures = 0;
  const tick = async (): Promise<void> => {
    try {
      await x509.tick();
      await jwt?.tick();
      await apply();
      failures = 0;
    } catch (error) {
      failures += 1;
      throw error;
    }
  };

  const close = async (): Promise<void> => {
    closing.abort();
    live.close();
    // What runs now runs to its end, before the store is closed behind it.
    await exclusively(() => Promise.resolve());
    await presence.close();
    upstream?.close();
  };
  try {
    await retryWhileUnavailable(tick, options, context);
  } catch (error) {
    await close();
    throw error;
  }

  const maintenance = startMaintenance({ context, tick, tickMs: options.tickMs ?? defaultTickMs });
  // A taint must not wait for the next look at the clock.
  live.onChange(() => maintenance.tickSoon());
  const replaceTainted = async (tainted: ReadonlySet<string>): Promise<void> => {
    if (!tainted.has(x509.active().upstreamAuthorityId ?? '')) return;
    log.warn('Current root CA is signed by a tainted upstream authority, preparing rotation');
    await x509.replace();
  };
  const sync = createUpstreamBundleSync({ context, onTainted: replaceTainted });
  const following = upstream?.watchBundle?.(sync, context.signal).catch((error: unknown) => {
    if (!context.signal.aborted) log.error({ err: error }, 'the upstream bundle is no longer followed');
  });

  const refreshed = async <T>(act: Promise<T>): Promise<T> => {
    const result = await act;
    await apply();
    return result;
  };
  return {
    ...signing,
    x509Authority: () => stateOf(x509.active()),
    jwtAuthority: () => stateOf(active(jwt)),
    x509: withRefresh(x509.control, refreshed),
    jwt: jwt === undefined ? disabledControl : withRefresh(jwt.control, refreshed),
    replicaId: presence.id,
    async appliedEverywhere() {
      await apply();
      await presence.untilApplied(live.current().sequenceNumber);
    },
    bundle: live.current,
    async refreshBundle() {
      await live.refresh();
    },
    onBundle: live.onChange,
    publishJwtAuthority: async (authority) => {
      const { jwtAuthorities } = await refreshed(publishJwtAuthority(context, authority));
      return jwtAuthorities;
    },
    serverCredentials: identity.credentials,
    async checkHealth() {
      if (failures > maxFailures) throw new AuthorityError('NOT_READY', `rotation failed ${failures} times in a row`);
      const { publicKey } = await generateKeyPair('ec-p256');
      const spiffeId = createSpiffeId(trustDomain, '/for/health/check/only');
      await signing.signX509Svid({ publicKey, spiffeId, ttlMs: 1_000 });
    },
    async close() {
      maintenance.stop();
      closing.abort();
      await maintenance.stopped();
      await following;
      await close();
    },
  };
}

/** The upstream, or the agent beside us that introduces us to it, may come up after us. */
async function retryWhileUnavailable(
  act: () => Promise<void>,
  { upstreamPatienceMs = defaultUpstreamPatienceMs }: CreateAuthorityOptions,
  { clock, log, signal }: AuthorityContext,
): Promise<void> {
  const deadline = clock() + upstreamPatienceMs;
  for (let wait = firstRetryMs; ; wait = Math.min(wait * 2, maxRetryMs)) {
    try {
      await act();
      return;
    } catch (error) {
      const isUnavailable = error instanceof AuthorityError && error.code === 'UPSTREAM_UNAVAILABLE';
      if (!isUnavailable || clock() + wait > deadline) throw error;
      log.warn({ err: error }, 'upstream authority does not answer, trying again');
      await sleep(wait, undefined, { signal });
    }
  }
}

function active<S>(rotation: { active(): S } | undefined): S {
  if (rotation === undefined) throw new AuthorityError('JWT_DISABLED', 'JWT-SVIDs are disabled');
  return rotation.active();
}

function withRefresh(control: SlotControl, refreshed: <T>(act: Promise<T>) => Promise<T>): SlotControl {
  return {
    states: control.states,
    prepare: () => refreshed(control.prepare()),
    activate: (authorityId) => refreshed(control.activate(authorityId)),
    taint: (authorityId) => refreshed(control.taint(authorityId)),
    revoke: (authorityId) => refreshed(control.revoke(authorityId)),
  };
}

const refuse = (): never => active(undefined);
const disabledControl: SlotControl = {
  states: () => ({}),
  prepare: async () => refuse(),
  activate: async () => refuse(),
  taint: async () => refuse(),
  revoke: async () => refuse(),
};

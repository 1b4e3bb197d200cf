// Keeps the cache as the server wants it: the agent's own SVID, entries, bundles, and an SVID for each entry. One turn at a time.
import type { Logger } from '../../log.ts';
import { statusCode } from '../../rpc/status.ts';
import { createCallCounter } from '../../telemetry/call-counter.ts';
import type { CallCounter } from '../../telemetry/call-counter.ts';
import { createIdleMetrics } from '../../telemetry/registry.ts';
import type { Metrics, Sample } from '../../telemetry/registry.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { JwtSvids } from '../cache/jwt-svids.ts';
import type { SvidCache } from '../cache/svid-cache.ts';
import type { Bootstrapping } from '../node/bootstrapping.ts';
import type { AgentIdentity } from '../node/identity.ts';
import type { ServerLink } from '../node/server-link.ts';
import type { Trust } from '../node/trust.ts';
import { AgentStopped, refusalOf } from '../refusal.ts';
import type { AgentData } from '../state/agent-data.ts';
import type { Entries, EntryFetcher } from './fetch-entries.ts';
import { fetchBundle, fetchFederatedBundles } from './fetch-bundles.ts';
import { logChanges, logSigning } from './log-changes.ts';
import type { SvidSigner } from './sign-svids.ts';
import { distrustedIn, hangsOn, keyOf } from './tainted.ts';

export interface SynchronizerOptions {
  readonly identity: AgentIdentity;
  readonly link: ServerLink;
  readonly trust: Trust;
  readonly bootstrapping: Bootstrapping;
  readonly data: AgentData;
  readonly cache: SvidCache;
  readonly jwtSvids: JwtSvids;
  readonly fetcher: EntryFetcher;
  readonly signer: SvidSigner;
  readonly clock: () => number;
  readonly log: Logger;
  readonly metrics?: Metrics;
}

/** What a turn is to bring up to date. */
export interface Wanted {
  readonly entries: boolean;
  readonly bundles: boolean;
}

export class Synchronizer {
  readonly #options: SynchronizerOptions;
  readonly #metrics: Metrics;
  readonly #processTainted: CallCounter;
  readonly #taintedX509: Sample;
  readonly #taintedJwt: Sample;
  readonly #knownTainted = new Set<string>();
  #entries: Entries = new Map();
  #federated: ReadonlyMap<string, TrustBundle> = new Map();
  /** The one whose news have been acted on. Trust may be ahead of it: a renewal by attestation brings a bundle too. */
  #used: TrustBundle | undefined;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
    const { metrics = createIdleMetrics() } = options;
    this.#metrics = metrics;
    this.#processTainted = createCallCounter(metrics, ['cache_manager', 'workload', 'process_tainted_x509_svids']);
    this.#taintedX509 = metrics.sample(['cache_manager', 'tainted_x509_svids', 'workload']);
    this.#taintedJwt = metrics.sample(['cache_manager', 'tainted_jwt_svids', 'workload']);
  }

  isRenewalDue(): boolean {
    return this.#options.identity.isRenewalDue();
  }

  /** Of the agent's own SVID, ms; without end where it has none. */
  lifeLeft(): number {
    const { identity, clock } = this.#options;
    return (identity.svid()?.notAfter ?? Number.POSITIVE_INFINITY) - clock();
  }

  /** Everything but the workloads' SVIDs, or the part of it that is known to have changed. */
  async fetch(signal: AbortSignal, wanted: Wanted = { entries: true, bundles: true }): Promise<void> {
    const { link, trust, bootstrapping, cache, fetcher, log } = this.#options;
    await this.#renewIdentity(signal);
    const { bundle: client } = link.clients();
    const entries = wanted.entries ? await fetcher.fetch(this.#entries, signal) : this.#entries;
    const bundle = wanted.bundles ? await fetchBundle(client, trust.bundle(), signal) : trust.bundle();
    const federated = wanted.bundles
      ? await fetchFederatedBundles(client, entries.values(), this.#federated, { signal, log })
      : this.#federated;
    logChanges(this.#entries, entries, log);
    this.#entries = entries;
    this.#federated = federated;
    await this.#useBundle(bundle);
    cache.replace(entries, bundle, federated);
    await bootstrapping.succeeded();
  }

  /** Fetches the SVIDs that are missing or due, and nothing else. */
  async signStale(signal: AbortSignal): Promise<void> {
    const { cache, signer, log } = this.#options;
    const done = new Set<string>(); // once a turn: an SVID may be due again as soon as it is signed
    // All are looked at once a turn; who has come meanwhile is looked for before each batch, and goes first.
    const stale = cache.stale();
    for (;;) {
      const wanted = new Set([...cache.staleForSubscribers(), ...stale].filter(({ id }) => !done.has(id)));
      if (wanted.size === 0) return;
      log.debug({ count: wanted.size }, 'Renewing stale entries');
      const signed = await signer.signSome([...wanted], signal);
      for (const id of signed.svids.keys()) logSigning(this.#entries.get(id), cache.held(id), log);
      cache.store(signed.svids, signed.failed);
      for (const id of [...signed.svids.keys(), ...signed.failed]) done.add(id);
    }
  }

  /** Whether the failure was dealt with, so that the next turn may begin at once. Throws an AgentStopped where there will be none. */
  async recover(error: unknown, signal: AbortSignal): Promise<boolean> {
    const { identity, link, bootstrapping, log } = this.#options;
    if (error instanceof AgentStopped) throw error;
    const refusal = refusalOf(error);
    if (refusal === undefined) {
      await bootstrapping.failed();
      return false;
    }
    if (refusal === 'banned') {
      log.warn({ err: error }, 'Agent is banned: removing SVID and shutting down');
      await identity.forget();
      throw new AgentStopped('BANNED', 'agent is banned', { cause: error });
    }
    log.warn({ err: error }, 'Agent needs to re-attest; will attempt to re-attest');
    try {
      await identity.reattest(signal);
    } catch (cause) {
      log.error({ err: cause }, 'Agent failed re-attestation; removing SVID and shutting down');
      await identity.forget();
      throw new AgentStopped('REATTESTATION_FAILED', 'agent failed re-attestation', { cause });
    }
    link.renew();
    return true;
  }

  /** A failure to renew is no reason to leave workloads without news, as long as the server still accepts the old SVID. */
  async #renewIdentity(signal: AbortSignal): Promise<void> {
    const { identity, link, log } = this.#options;
    if (!identity.isRenewalDue()) return;
    try {
      await identity.renew(link, signal);
      link.renew();
    } catch (error) {
      if (error instanceof AgentStopped || refusalOf(error) !== undefined) throw error;
      log.error({ err: error }, 'Could not rotate agent SVID');
    }
  }

  async #useBundle(bundle: TrustBundle): Promise<void> {
    const { trust, data, jwtSvids, log } = this.#options;
    if (bundle === this.#used) return;
    trust.update(bundle);
    await data.storeX509Authorities(bundle.x509Authorities.map(({ asn1 }) => asn1));
    log.debug(
      { sequence_number: bundle.sequenceNumber, x509_authorities: bundle.x509Authorities.length },
      'Bundle updated',
    );
    const { x509, jwtKeyIds } = distrustedIn(bundle, this.#used);
    if (jwtKeyIds.size > 0) this.#taintedJwt.observe(jwtSvids.forgetSignedBy(jwtKeyIds));
    for (const { asn1, tainted } of bundle.x509Authorities)
      if (tainted !== true) this.#knownTainted.delete(keyOf(asn1)); // one that is back may be tainted again
    this.#replaceTainted(x509);
    this.#used = bundle;
  }

  #replaceTainted(distrusted: readonly Uint8Array[]): void {
    const { identity, cache, clock, log } = this.#options;
    const tainted = distrusted.filter((der) => !this.#knownTainted.has(keyOf(der)));
    if (tainted.length === 0) return;
    for (const der of tainted) this.#knownTainted.add(keyOf(der));
    const now = clock();
    const startedAt = this.#metrics.now();
    const count = cache.expire(({ chain }) => hangsOn(chain, tainted, now));
    this.#processTainted.done(startedAt, statusCode.OK);
    this.#taintedX509.observe(count);
    log.info({ count }, 'New tainted X.509 authorities found');
    if (!hangsOn(identity.svid()?.chain ?? [], tainted, now)) return;
    log.info('Agent SVID is tainted by a root authority, forcing rotation');
    identity.forceRenewal();
  }
}

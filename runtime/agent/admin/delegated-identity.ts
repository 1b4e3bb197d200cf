// spire.api.agent.delegatedidentity.v1.DelegatedIdentity: a delegate names a workload by its pid, which is attested here, or by selectors, which are
// believed, and gets what that workload would get. Identities of admins and of downstream servers are handed to no delegate.
import type {
  DelegatedIdentityService,
  SubscribeToX509SVIDsResponse,
} from '../../../proto/gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import type { Selector as WireSelector } from '../../../proto/gen/spire/api/types/selector.ts';
import type { SPIFFEID } from '../../../proto/gen/spire/api/types/spiffeid.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument, permissionDenied, unavailable } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/errors.ts';
import { checkSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { DeliveryAudit } from '../audit-log.ts';
import type { JwtSvids } from '../cache/jwt-svids.ts';
import type { WorkloadCache, WorkloadUpdate } from '../cache/svid-cache.ts';
import type { AgentEntry } from '../sync/entry.ts';
import type { EntryDemand } from '../sync/demand.ts';
import { pidOf } from '../workload-api/admission.ts';
import type { Callers } from '../workload-api/caller.ts';
import { byTrustDomain, jwtAuthorities, x509Authorities } from '../workload-api/responses.ts';
import type { Delegates } from './delegates.ts';

export interface DelegatedIdentityOptions {
  readonly delegates: Delegates;
  readonly callers: Callers;
  readonly cache: WorkloadCache;
  readonly demand: EntryDemand;
  readonly jwtSvids: JwtSvids;
  readonly audit: DeliveryAudit;
  readonly metrics: Metrics;
  readonly log: Logger;
}

interface NamedWorkload {
  readonly selectors: readonly WireSelector[];
  readonly pid: number;
}

export function createDelegatedIdentity(options: DelegatedIdentityOptions): Handlers<typeof DelegatedIdentityService> {
  const { delegates, callers, cache, demand, jwtSvids, audit, log, metrics } = options;
  const firstUpdate = metrics.sample([
    'delegated_identity_api',
    'subscribe_x509_svids',
    'first_update',
    'elapsed_time',
  ]);

  /** SPIRE's rule: selectors or a pid, never both, and pid 0 is none. */
  const selectorsOf = async ({ selectors, pid }: NamedWorkload): Promise<Selector[]> => {
    if ((selectors.length === 0) === (pid === 0))
      throw invalidArgument('must provide either selectors or non-zero PID, but not both');
    return pid === 0 ? selectors.map(parseWireSelector) : callers.attestProcess(pid);
  };

  return {
    async *subscribeToX509SviDs(request, context) {
      const checkDelegate = await delegates.admit(context);
      const selectors = await selectorsOf(request);
      let askedAt: number | undefined = metrics.now();
      for await (const update of cache.subscribe(selectors, context.signal)) {
        checkDelegate();
        const response = x509SvidsResponse(update);
        if (askedAt !== undefined && update.identities.length > 0) {
          firstUpdate.observe(metrics.now() - askedAt);
          askedAt = undefined;
        }
        for (const identity of update.identities) {
          if (isDelegable(identity.entry)) audit.x509Svid({ context, selectorCount: selectors.length }, identity);
        }
        log.debug(
          { count: response.x509Svids.length, pid: pidOf(context) },
          'Fetched X.509 SVID for delegated identity',
        );
        yield response;
      }
    },

    async *subscribeToX509Bundles(_request, context) {
      const checkDelegate = await delegates.admit(context);
      for await (const bundles of cache.subscribeBundles(context.signal)) {
        checkDelegate();
        yield { caCertificates: byTrustDomain(bundles, x509Authorities) };
      }
    },

    async fetchJwtsviDs(request, context) {
      const { audience } = request;
      if (audience.length === 0) throw invalidArgument('audience must be specified');
      await delegates.admit(context);
      const selectors = await selectorsOf(request);
      if (cache.matching(selectors).length === 0) await demand.newerEntries(context.signal);
      const entries = cache.matching(selectors).filter(isDelegable);
      if (entries.length === 0) {
        log.error({ pid: pidOf(context) }, 'No identity issued');
        throw permissionDenied('no identity issued');
      }
      const svids = await Promise.all(
        entries.map(async (entry) => {
          const svid = await jwtSvids.fetch(entry, audience, context.signal).catch(couldNotFetch);
          audit.jwtSvid({ context, selectorCount: selectors.length }, entry, audience, svid);
          const { token, issuedAt, expiresAt } = svid;
          const id = wireIdOf(entry.spiffeId);
          return { token, id, issuedAt: seconds(issuedAt), expiresAt: seconds(expiresAt), hint: entry.hint };
        }),
      );
      return { svids };
    },

    async *subscribeToJwtBundles(_request, context) {
      const checkDelegate = await delegates.admit(context);
      for await (const bundles of cache.subscribeBundles(context.signal)) {
        checkDelegate();
        yield { bundles: byTrustDomain(bundles, jwtAuthorities) };
      }
    },
  };
}

function isDelegable({ admin, downstream }: AgentEntry): boolean {
  return !admin && !downstream;
}

function x509SvidsResponse({ identities, federatedBundles }: WorkloadUpdate): SubscribeToX509SVIDsResponse {
  const x509Svids = identities
    .filter(({ entry }) => isDelegable(entry))
    .map(({ entry, svid }) => ({
      x509Svid: {
        id: wireIdOf(svid.spiffeId),
        certChain: [...svid.chain],
        expiresAt: seconds(svid.notAfter),
        hint: entry.hint,
      },
      x509SvidKey: svid.privateKey,
    }));
  return { x509Svids, federatesWith: federatedBundles.map(({ trustDomain }) => trustDomain.idString()) };
}

function parseWireSelector({ type, value }: WireSelector): Selector {
  try {
    checkSelector({ type, value });
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw invalidArgument('could not parse provided selectors', { cause });
  }
  return { type, value };
}

function couldNotFetch(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw unavailable(`could not fetch JWT-SVID: ${reason}`, { cause });
}

function wireIdOf({ trustDomain, path }: SpiffeId): SPIFFEID {
  return { trustDomain: trustDomain.name, path };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

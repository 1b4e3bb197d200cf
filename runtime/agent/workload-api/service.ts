// The SPIFFE Workload API: every call attests its caller first, and gets what the caller's selectors are entitled to and nothing else.
import { JWTBundlesResponse, X509BundlesResponse } from '../../../proto/gen/spiffe/workload/workload.ts';
import type { SpiffeWorkloadAPIService } from '../../../proto/gen/spiffe/workload/workload.ts';
import type { Logger } from '../../log.ts';
import type { CallContext, Intercept } from '../../rpc/call-context.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument, unavailable, unimplemented } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/errors.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { methodName, serviceName } from '../../telemetry/rpc-key.ts';
import type { DeliveryAudit } from '../audit-log.ts';
import type { JwtSvids } from '../cache/jwt-svids.ts';
import type { WorkloadCache, WorkloadUpdate } from '../cache/svid-cache.ts';
import type { AgentEntry } from '../sync/entry.ts';
import { pidOf } from './admission.ts';
import type { Admission } from './admission.ts';
import { withUniqueHints } from './hints.ts';
import { jwtBundlesResponse, x509BundlesResponse, x509SvidResponse } from './responses.ts';
import { validateJwt } from './validate-jwt.ts';

export interface WorkloadApiOptions {
  readonly cache: WorkloadCache;
  readonly jwtSvids: JwtSvids;
  readonly admission: Admission;
  readonly audit: DeliveryAudit;
  readonly trustDomain: TrustDomain;
  /** Whoever has no identity may still have the trust domain's bundle. */
  readonly allowUnauthenticatedVerifiers: boolean;
  readonly allowedForeignJwtClaims: ReadonlySet<string>;
  readonly clock: () => number;
  readonly log: Logger;
}

/** Ours too: it asks for more than the Workload API does. */
const guarded = ['/SpiffeWorkloadAPI/', '/espalier.service.v1.ServiceBroker/'];
const securityHeader = 'workload.spiffe.io';

/** SPIFFE Workload Endpoint §3: a request forged by way of another program (SSRF) does not carry the header. */
export const checkSecurityHeader: Intercept = ({ method, metadata }) => {
  const values = metadata.get(securityHeader);
  const isGood = !guarded.some((prefix) => method.startsWith(prefix)) || (values.length === 1 && values[0] === 'true');
  return isGood ? Promise.resolve() : Promise.reject(invalidArgument('security header missing from request'));
};

export function createWorkloadApi(options: WorkloadApiOptions): Handlers<typeof SpiffeWorkloadAPIService> {
  const {
    cache,
    jwtSvids,
    admission,
    audit,
    trustDomain,
    allowUnauthenticatedVerifiers,
    allowedForeignJwtClaims,
    clock,
    log,
  } = options;

  const admit = (context: CallContext, needsIdentity: boolean): Promise<Selector[]> =>
    needsIdentity ? admission.admitKnown(context) : admission.admit(context);

  /** SPIRE's fields. */
  const fetched = (context: CallContext, { spiffeId }: AgentEntry, endsAt: number) => ({
    method: methodName(context.method),
    service: serviceName(context.method),
    pid: pidOf(context),
    registered: true,
    spiffe_id: spiffeId.toString(),
    ttl: (endsAt - clock()) / 1000,
  });

  async function* updates(
    context: CallContext,
    selectors: readonly Selector[],
    needsIdentity: boolean,
  ): AsyncGenerator<WorkloadUpdate, void, undefined> {
    for await (const update of cache.subscribe(selectors, context.signal)) {
      if (needsIdentity && cache.matching(selectors).length === 0) throw admission.noIdentity(context, selectors);
      yield update;
    }
  }

  async function* distinct<T>(
    context: CallContext,
    compose: (update: WorkloadUpdate) => T,
    message: { encode(response: T): { finish(): Uint8Array } },
  ): AsyncGenerator<T, void, undefined> {
    let sent: Buffer | undefined;
    const selectors = await admit(context, !allowUnauthenticatedVerifiers);
    for await (const update of updates(context, selectors, !allowUnauthenticatedVerifiers)) {
      const response = compose(update);
      const bytes = Buffer.from(message.encode(response).finish());
      if (sent?.equals(bytes) !== true) yield response;
      sent = bytes;
    }
  }

  return {
    async *fetchX509Svid(_request, context) {
      const selectors = await admit(context, true);
      const recipient = { context, selectorCount: selectors.length };
      for await (const update of updates(context, selectors, true)) {
        if (update.identities.length === 0) throw unavailable('X509-SVID has ended, and there is no other yet');
        const response = x509SvidResponse(update);
        for (const identity of withUniqueHints(update.identities, ({ entry }) => entry)) {
          audit.x509Svid(recipient, identity);
          log.debug(fetched(context, identity.entry, identity.svid.notAfter), 'Fetched X.509 SVID');
        }
        yield response;
      }
    },

    fetchX509Bundles: (_request, context) => distinct(context, x509BundlesResponse, X509BundlesResponse),

    fetchJwtBundles: (_request, context) => distinct(context, jwtBundlesResponse, JWTBundlesResponse),

    async fetchJwtsvid({ audience, spiffeId }, context) {
      if (audience.length === 0) throw invalidArgument('audience must be specified');
      if (spiffeId !== '') checkSpiffeId(spiffeId);
      const selectors = await admission.admitKnown(context);
      const entries = withUniqueHints(cache.matching(selectors), (entry) => entry).filter(
        (entry) => spiffeId === '' || entry.spiffeId.toString() === spiffeId,
      );
      if (entries.length === 0) throw admission.noIdentity(context, selectors);
      const svids = await Promise.all(
        entries.map(async (entry) => ({
          entry,
          svid: await jwtSvids.fetch(entry, audience, context.signal).catch(couldNotFetch),
        })),
      );
      const recipient = { context, selectorCount: selectors.length };
      for (const { entry, svid } of svids) {
        audit.jwtSvid(recipient, entry, audience, svid);
        log.debug(fetched(context, entry, svid.expiresAt), 'Fetched JWT SVID');
      }
      return {
        svids: svids.map(({ entry, svid }) => ({
          spiffeId: entry.spiffeId.toString(),
          svid: svid.token,
          hint: entry.hint,
        })),
      };
    },

    async validateJwtsvid({ audience, svid }, context) {
      if (audience === '') throw invalidArgument('audience must be specified');
      if (svid === '') throw invalidArgument('svid must be specified');
      const { bundle, federatedBundles } = cache.update(await admission.admit(context));
      const { id, claims } = validateJwt({
        token: svid,
        audience,
        bundles: [bundle, ...federatedBundles],
        trustDomain,
        allowedForeignClaims: allowedForeignJwtClaims,
        now: clock(),
      });
      return { spiffeId: id.toString(), claims };
    },

    async *fetchWitsvid() {
      throw unimplemented('fetching WIT-SVIDs is not implemented');
    },

    async *fetchWitBundles() {
      throw unimplemented('fetching WIT bundles is not implemented');
    },
  };
}

function checkSpiffeId(text: string): void {
  try {
    parseSpiffeId(text);
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    throw invalidArgument(`invalid requested SPIFFE ID: ${error.message}`, { cause: error });
  }
}

function couldNotFetch(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw unavailable(`could not fetch JWT-SVID: ${reason}`, { cause });
}

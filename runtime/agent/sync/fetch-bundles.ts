// Fetches the trust domain's bundle and those of the trust domains that entries federate with.
import type { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import type { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type { Logger } from '../../log.ts';
import type { Client } from '../../rpc/service.ts';
import { RpcError, statusCode } from '../../rpc/status.ts';
import { bundlesEqual } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { parseBundle } from './bundle.ts';
import type { AgentEntry } from './entry.ts';

type Bundles = ReadonlyMap<string, TrustBundle>;

const callMs = 30_000;

/** The same object as `known` where nothing changed. */
export async function fetchBundle(
  client: Client<typeof BundleService>,
  known: TrustBundle,
  signal: AbortSignal,
): Promise<TrustBundle> {
  const bundle = parseBundle(await client.getBundle({ outputMask: undefined }, { signal, deadlineMs: callMs }));
  return bundlesEqual(bundle, known) ? known : bundle;
}

/** By trust domain name. A bundle that the server does not have is left out. */
export async function fetchFederatedBundles(
  client: Client<typeof BundleService>,
  entries: Iterable<AgentEntry>,
  known: Bundles,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<Bundles> {
  const names = new Set<string>();
  for (const { federatesWith } of entries) for (const { name } of federatesWith) names.add(name);
  const bundles = new Map<string, TrustBundle>();
  for (const trustDomain of [...names].sort()) {
    const before = known.get(trustDomain);
    try {
      const answer = await client.getFederatedBundle(
        { trustDomain, outputMask: undefined },
        { signal, deadlineMs: callMs },
      );
      const bundle = federatedBundleOf(answer, trustDomain);
      bundles.set(trustDomain, before !== undefined && bundlesEqual(bundle, before) ? before : bundle);
    } catch (error) {
      if (error instanceof RpcError) {
        if (error.code !== statusCode.NOT_FOUND) throw error;
        log.warn({ federated_trust_domain: trustDomain }, 'Federated bundle not found');
        continue;
      }
      // What another trust domain publishes must not keep our own workloads from their SVIDs.
      log.error({ federated_trust_domain: trustDomain, err: error }, 'Received malformed federated bundle');
      if (before !== undefined) bundles.set(trustDomain, before);
    }
  }
  return bundles;
}

function federatedBundleOf(answer: Bundle, trustDomain: string): TrustBundle {
  const bundle = parseBundle(answer);
  if (bundle.trustDomain.name !== trustDomain)
    throw new Error(`server sent the bundle of ${bundle.trustDomain.name}, want ${trustDomain}`);
  return bundle;
}

// The trust domain's bundle as another agent on this machine has it: whoever may connect to that socket gets what it serves.
import { SpiffeWorkloadAPIService } from '../../../proto/gen/spiffe/workload/workload.ts';
import { connect, createClient } from '../../rpc/client.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

const patienceMs = 60_000;

/** Concatenated DER. */
export async function fetchBundleOverWorkloadApi(socketPath: string, trustDomain: TrustDomain): Promise<Uint8Array> {
  const channel = connect({ unixPath: socketPath });
  try {
    const api = createClient(SpiffeWorkloadAPIService, channel);
    const call = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: patienceMs };
    for await (const { bundles } of api.fetchX509Bundles({}, call)) {
      const bundle = bundles[trustDomain.idString()];
      if (bundle !== undefined) return bundle;
      break;
    }
    throw new Error(`did not provide a trust bundle for trust domain "${trustDomain.name}"`);
  } catch (cause) {
    throw new Error(`unable to fetch trust bundle from SPIFFE Workload API ${socketPath}`, { cause });
  } finally {
    channel.close();
  }
}

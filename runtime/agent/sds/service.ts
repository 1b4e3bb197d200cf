// Envoy's secret discovery service, version 3: the caller is attested as on the Workload API, and gets the same identities and bundles as secrets.
import { randomBytes } from 'node:crypto';
import type { SecretDiscoveryServiceService } from '../../../proto/gen/envoy/service/secret/v3/sds.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { unimplemented } from '../../rpc/status.ts';
import type { DeliveryAudit } from '../audit-log.ts';
import type { WorkloadCache, WorkloadIdentity } from '../cache/svid-cache.ts';
import { pidOf } from '../workload-api/admission.ts';
import type { Admission } from '../workload-api/admission.ts';
import { interleave } from './interleave.ts';
import { resourcesFor } from './resources.ts';
import type { SdsConfig } from './resources.ts';
import { Subscription } from './subscription.ts';

export interface SdsOptions {
  readonly config: SdsConfig;
  readonly cache: WorkloadCache;
  readonly admission: Admission;
  readonly audit: DeliveryAudit;
  readonly log: Logger;
}

const nextNonce = (): string => randomBytes(4).toString('hex');

export function createSds({
  config,
  cache,
  admission,
  audit,
  log,
}: SdsOptions): Handlers<typeof SecretDiscoveryServiceService> {
  return {
    async *streamSecrets(requests, context) {
      const selectors = await admission.admitKnown(context);
      const about = log.child({ method: context.method, pid: pidOf(context) });
      const recipient = { context, selectorCount: selectors.length };
      const onIdentity = (identity: WorkloadIdentity): void => audit.x509Svid(recipient, identity);
      const subscription = new Subscription({ config, nextNonce, log: about, onIdentity });
      const updates = cache.subscribe(selectors, context.signal);
      for await (const step of interleave(requests[Symbol.asyncIterator](), updates)) {
        if (step.result.done === true) return;
        const response =
          step.from === 'first' ? subscription.take(step.result.value) : subscription.renew(step.result.value);
        if (response !== undefined) yield response;
      }
    },

    async fetchSecrets(request, context) {
      const selectors = await admission.admitKnown(context);
      const update = await firstOf(cache.subscribe(selectors, context.signal));
      const recipient = { context, selectorCount: selectors.length };
      const resources = resourcesFor(request, update, config, (identity) => audit.x509Svid(recipient, identity));
      log.debug({ count: resources.length, pid: pidOf(context) }, 'Sending FetchSecrets response');
      const { typeUrl } = request;
      return { versionInfo: '', resources, canary: false, typeUrl, nonce: '', controlPlane: undefined };
    },

    async *deltaSecrets() {
      throw unimplemented('Method is not implemented');
    },
  };
}

/** What there is as soon as it is whole: a workload that just came may have to wait for its SVID. */
async function firstOf<T>(updates: AsyncGenerator<T, never, undefined>): Promise<T> {
  const { value } = await updates.next();
  await updates.return(undefined as never);
  return value;
}

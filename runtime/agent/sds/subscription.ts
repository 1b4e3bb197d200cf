// One stream of an Envoy: what it subscribed to last, what it was sent, and so what it is to be sent next. No I/O.
import type { Node } from '../../../proto/gen/envoy/config/core/v3/base.ts';
import type { DiscoveryRequest, DiscoveryResponse } from '../../../proto/gen/envoy/service/discovery/v3/discovery.ts';
import type { Logger } from '../../log.ts';
import type { WorkloadIdentity, WorkloadUpdate } from '../cache/svid-cache.ts';
import { resourcesFor } from './resources.ts';
import type { SdsConfig } from './resources.ts';

export interface SubscriptionOptions {
  readonly config: SdsConfig;
  /** Different for each answer. */
  readonly nextNonce: () => string;
  readonly log: Pick<Logger, 'debug' | 'warn' | 'error'>;
  /** Told of each identity whose certificate goes out. */
  readonly onIdentity?: (identity: WorkloadIdentity) => void;
}

export class Subscription {
  readonly #options: SubscriptionOptions;
  #version = 0;
  #nonce = '';
  #node: Node | undefined;
  #update: WorkloadUpdate | undefined;
  #request: DiscoveryRequest | undefined;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** The answer to a request, if it asks for one: an acknowledgement or a rejection does not, unless it asks for other names too. */
  take(request: DiscoveryRequest): DiscoveryResponse | undefined {
    const { log } = this.#options;
    if (request.errorDetail !== undefined) {
      const { message } = request.errorDetail;
      log.error({ resource_names: request.resourceNames, error: message }, 'Envoy reported errors applying secrets');
    }
    if (this.#nonce !== '') {
      if (request.responseNonce !== this.#nonce) {
        log.warn({ nonce: request.responseNonce, expect: this.#nonce }, 'Received unexpected nonce; ignoring request');
        return undefined;
      }
      const expect = String(this.#version);
      if (request.versionInfo !== expect)
        log.error({ version_info: request.versionInfo, expect }, 'Client rejected expected version and rolled back');
    }
    const before = this.#request?.resourceNames;
    // Only the first request of a stream has to say who asks.
    this.#request = { ...request, node: request.node ?? this.#node };
    if (before !== undefined && isSameList(before, request.resourceNames)) return undefined;
    return this.#update === undefined ? undefined : this.#answer(this.#request, this.#update);
  }

  /** The answer that news for the workload call for: none before the first request. */
  renew(update: WorkloadUpdate): DiscoveryResponse | undefined {
    this.#update = update;
    this.#version += 1;
    return this.#request === undefined ? undefined : this.#answer(this.#request, update);
  }

  #answer(request: DiscoveryRequest, update: WorkloadUpdate): DiscoveryResponse {
    const { config, nextNonce, log, onIdentity } = this.#options;
    const resources = resourcesFor(request, update, config, onIdentity);
    this.#nonce = nextNonce();
    this.#node = request.node ?? this.#node;
    const versionInfo = String(this.#version);
    log.debug(
      { version_info: versionInfo, nonce: this.#nonce, count: resources.length },
      'Sending StreamSecrets response',
    );
    return {
      versionInfo,
      resources,
      canary: false,
      typeUrl: request.typeUrl,
      nonce: this.#nonce,
      controlPlane: undefined,
    };
  }
}

/** The order does not count. */
function isSameList(before: readonly string[], now: readonly string[]): boolean {
  const known = new Set(before);
  return before.length === now.length && now.every((name) => known.has(name));
}

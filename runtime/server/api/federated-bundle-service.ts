// spire.api.server.bundle.v1.Bundle for the bundles of other trust domains, kept so that entries may federate with them.
import type {
  BatchDeleteFederatedBundleRequest_Mode,
  BundleService,
} from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type { Bundle, BundleMask } from '../../../proto/gen/spire/api/types/bundle.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { alreadyExists, invalidArgument, notFound } from '../../rpc/status.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { StoreError } from '../store/errors.ts';
import type { BundleDeleteMode, BundleStore } from '../store/store.ts';
import { pageOf } from './page.ts';
import { attempt, checkArgument, statusOfItem } from './refusal.ts';
import { encodeBundle, parseBundle } from './wire/bundle.ts';

export interface FederatedBundleServiceOptions {
  readonly trustDomain: TrustDomain;
  readonly bundles: BundleStore;
  readonly log: Logger;
}

export type FederatedBundleMethods = Pick<
  Handlers<typeof BundleService>,
  | 'listFederatedBundles'
  | 'getFederatedBundle'
  | 'batchCreateFederatedBundle'
  | 'batchUpdateFederatedBundle'
  | 'batchSetFederatedBundle'
  | 'batchDeleteFederatedBundle'
>;

/** The numbers of BatchDeleteFederatedBundleRequest.Mode. */
const deleteModes: Readonly<Record<number, BundleDeleteMode>> = { 0: 'restrict', 1: 'delete', 2: 'dissociate' };

export function createFederatedBundleService(options: FederatedBundleServiceOptions): FederatedBundleMethods {
  const { trustDomain: own, bundles, log } = options;

  return {
    async listFederatedBundles({ outputMask, pageSize, pageToken }) {
      const found = await attempt('failed to list bundles', () => bundles.listBundles(pageOf(pageSize, pageToken)));
      const others = found.bundles.filter(({ trustDomain }) => !trustDomain.equals(own));
      return { bundles: others.map((bundle) => encodeBundle(bundle, outputMask)), nextPageToken: found.nextPageToken };
    },

    async getFederatedBundle({ trustDomain: name, outputMask }) {
      const trustDomain = parseOther(name, 'getting a federated bundle for');
      const bundle = await attempt('failed to fetch bundle', () => bundles.fetchBundle(trustDomain.name));
      if (bundle === undefined) throw notFound('bundle not found');
      return encodeBundle(bundle, outputMask);
    },

    async batchCreateFederatedBundle({ bundle, outputMask }) {
      return { results: await eachBundle(bundle, outputMask, createBundle) };
    },

    async batchUpdateFederatedBundle({ bundle, inputMask, outputMask }) {
      return { results: await eachBundle(bundle, outputMask, (wire) => updateBundle(wire, inputMask)) };
    },

    async batchSetFederatedBundle({ bundle, outputMask }) {
      return { results: await eachBundle(bundle, outputMask, setBundle) };
    },

    async batchDeleteFederatedBundle({ trustDomains, mode: wireMode }) {
      const mode = parseMode(wireMode);
      const results = [];
      for (const name of trustDomains) {
        results.push({ trustDomain: name, status: (await statusOfItem(() => deleteBundle(name, mode))).status });
      }
      return { results };
    },
  };

  async function eachBundle(
    wires: readonly Bundle[],
    mask: BundleMask | undefined,
    act: (wire: Bundle) => Promise<TrustBundle>,
  ) {
    const results = [];
    for (const wire of wires) {
      const { status, value } = await statusOfItem(() => act(wire));
      results.push({ status, bundle: value && encodeBundle(value, mask) });
    }
    return results;
  }

  async function createBundle(wire: Bundle): Promise<TrustBundle> {
    parseOther(wire.trustDomain, 'creating a federated bundle for');
    const bundle = checkArgument('failed to convert bundle', () => parseBundle(wire));
    try {
      return await bundles.createBundle(bundle);
    } catch (cause) {
      if (cause instanceof StoreError && cause.code === 'CONFLICT')
        throw alreadyExists('bundle already exists', { cause });
      return attempt('unable to create bundle', () => Promise.reject(cause as Error));
    }
  }

  async function setBundle(wire: Bundle): Promise<TrustBundle> {
    parseOther(wire.trustDomain, 'setting a federated bundle for');
    const bundle = checkArgument('failed to convert bundle', () => parseBundle(wire));
    const set = await attempt('failed to set bundle', () => bundles.setBundle(bundle));
    log.info({ trust_domain_id: wire.trustDomain }, 'Bundle set successfully');
    return set;
  }

  async function updateBundle(wire: Bundle, mask: BundleMask | undefined): Promise<TrustBundle> {
    const { name } = parseOther(wire.trustDomain, 'updating a federated bundle for');
    const update = checkArgument('failed to convert bundle', () => parseBundle(wire));
    const present = await attempt('failed to update bundle', () => bundles.fetchBundle(name));
    if (present === undefined) throw notFound('bundle not found');
    return attempt('failed to update bundle', () => bundles.setBundle(mergeMasked(present, update, mask)));
  }

  async function deleteBundle(name: string, mode: BundleDeleteMode): Promise<void> {
    const trustDomain = checkArgument('trust domain argument is not valid', () => parseTrustDomain(name));
    if (trustDomain.equals(own))
      throw invalidArgument('removing the bundle for the server trust domain is not allowed');
    const deleted = await attempt('failed to delete federated bundle', () =>
      bundles.deleteBundle(trustDomain.name, mode),
    );
    if (!deleted) throw notFound('bundle not found');
  }

  function parseOther(name: string, act: string): TrustDomain {
    const trustDomain = checkArgument('trust domain argument is not valid', () => parseTrustDomain(name));
    if (trustDomain.equals(own)) throw invalidArgument(`${act} the server's own trust domain is not allowed`);
    return trustDomain;
  }
}

function mergeMasked(present: TrustBundle, update: TrustBundle, mask: BundleMask | undefined): TrustBundle {
  if (mask === undefined) return update;
  return {
    trustDomain: present.trustDomain,
    x509Authorities: mask.x509Authorities ? update.x509Authorities : present.x509Authorities,
    jwtAuthorities: mask.jwtAuthorities ? update.jwtAuthorities : present.jwtAuthorities,
    refreshHintSeconds: mask.refreshHint ? update.refreshHintSeconds : present.refreshHintSeconds,
    sequenceNumber: mask.sequenceNumber ? update.sequenceNumber : present.sequenceNumber,
  };
}

function parseMode(wire: BatchDeleteFederatedBundleRequest_Mode): BundleDeleteMode {
  const mode = deleteModes[wire];
  if (mode === undefined) throw invalidArgument(`failed to parse deletion mode: unhandled delete mode "${wire}"`);
  return mode;
}

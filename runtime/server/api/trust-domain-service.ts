// spire.api.server.trustdomain.v1.TrustDomain: the federation relationships that the store keeps. Those of the configuration are not shown or
// changed here, as in SPIRE.
import type {
  FederationRelationship,
  FederationRelationshipMask,
} from '../../../proto/gen/spire/api/types/federationrelationship.ts';
import type { TrustDomainService } from '../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { internal, invalidArgument, notFound } from '../../rpc/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { Federation } from '../federation/federation.ts';
import { recordOfRelationship } from '../federation/relationship.ts';
import { StoreError } from '../store/errors.ts';
import type { FederationRelationshipPatch } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { pageOf } from './page.ts';
import { attempt, checkArgument, errorText, statusOfItem } from './refusal.ts';
import { encodeRelationship, parseRelationship } from './wire/federation-relationship.ts';
import type { ParsedRelationship } from './wire/federation-relationship.ts';

export interface TrustDomainServiceOptions {
  readonly trustDomain: TrustDomain;
  readonly store: Store;
  readonly federation: Pick<Federation, 'refresh'>;
  readonly log: Logger;
}

export function createTrustDomainService(options: TrustDomainServiceOptions): Handlers<typeof TrustDomainService> {
  const { trustDomain: own, store, federation, log } = options;

  return {
    async listFederationRelationships({ outputMask, pageSize, pageToken }) {
      const { relationships, nextPageToken } = await attempt('failed to list federation relationships', () =>
        store.listFederationRelationships(pageOf(pageSize, pageToken)),
      );
      return {
        federationRelationships: relationships.map((one) => encodeRelationship(one, outputMask)),
        nextPageToken,
      };
    },

    async getFederationRelationship({ trustDomain: text, outputMask }) {
      const { name } = checkArgument('failed to parse trust domain', () => parseTrustDomain(text));
      const found = await attempt('failed to fetch federation relationship', () =>
        store.fetchFederationRelationship(name),
      );
      if (found === undefined) throw notFound('federation relationship does not exist');
      return encodeRelationship(found, outputMask);
    },

    async batchCreateFederationRelationship({ federationRelationships, outputMask }) {
      return { results: await each(federationRelationships, (wire) => create(wire, outputMask)) };
    },

    async batchUpdateFederationRelationship({ federationRelationships, inputMask, outputMask }) {
      return { results: await each(federationRelationships, (wire) => update(wire, inputMask, outputMask)) };
    },

    async batchDeleteFederationRelationship({ trustDomains }) {
      const results = [];
      for (const text of trustDomains) {
        const { status, value } = await statusOfItem(() => remove(text));
        results.push({ status, trustDomain: value ?? nameOf(text) });
      }
      return { results };
    },

    async refreshBundle({ trustDomain: text }) {
      const trustDomain = checkArgument('failed to parse trust domain', () => parseTrustDomain(text));
      const isManaged = await attempt('failed to refresh bundle', () => federation.refresh(trustDomain));
      if (!isManaged) throw notFound(`no relationship with trust domain ${JSON.stringify(trustDomain.name)}`);
      return {};
    },
  };

  async function each(
    wires: readonly FederationRelationship[],
    act: (wire: FederationRelationship) => Promise<FederationRelationship>,
  ) {
    const results = [];
    for (const wire of wires) {
      const { status, value } = await statusOfItem(() => act(wire));
      results.push({ status, federationRelationship: value });
    }
    return results;
  }

  async function create(wire: FederationRelationship, mask: FederationRelationshipMask | undefined) {
    const relationship = checkArgument('failed to convert federation relationship', () => parseRelationship(wire));
    if (relationship.trustDomain.equals(own))
      throw invalidArgument('unable to create federation relationship for server trust domain');
    const record = recordOfRelationship(relationship);
    const created = await attemptOnStore('failed to create federation relationship', () =>
      store.createFederationRelationship(record, relationship.bundle),
    );
    log.debug({ trust_domain_id: record.trustDomain }, 'Federation relationship created');
    await warnWithoutBundle(relationship);
    // The answer holds the bundle that was given, not one that was there before, as in SPIRE.
    return encodeRelationship(
      { ...record, ...(relationship.bundle && { bundle: created.bundle ?? relationship.bundle }) },
      mask,
    );
  }

  /** The whole of what is sent is checked, whatever the mask takes of it, as in SPIRE. */
  async function update(
    wire: FederationRelationship,
    inputMask: FederationRelationshipMask | undefined,
    outputMask: FederationRelationshipMask | undefined,
  ) {
    const relationship = checkArgument('failed to convert federation relationship', () => parseRelationship(wire));
    const bundle = inputMask === undefined || inputMask.trustDomainBundle ? relationship.bundle : undefined;
    const updated = await attemptOnStore('failed to update federation relationship', () =>
      store.updateFederationRelationship(relationship.trustDomain.name, patchOf(relationship, inputMask), bundle),
    );
    log.debug({ trust_domain_id: updated.trustDomain }, 'Federation relationship updated');
    await warnWithoutBundle(relationship);
    return encodeRelationship(updated, outputMask);
  }

  async function remove(text: string): Promise<string> {
    if (text === '') throw invalidArgument('missing trust domain');
    const { name } = checkArgument('failed to parse trust domain', () => parseTrustDomain(text));
    const removed = await attempt('failed to delete federation relationship', () =>
      store.deleteFederationRelationship(name),
    );
    if (!removed) throw notFound('federation relationship not found');
    log.debug({ trust_domain_id: name }, 'Federation relationship deleted');
    return name;
  }

  /** Its endpoint cannot be judged until somebody sets that bundle. */
  async function warnWithoutBundle({ profile, bundle }: ParsedRelationship): Promise<void> {
    if (profile.kind === 'https_web' || bundle !== undefined) return;
    const { endpointId } = profile;
    const kept = await store.fetchBundle(endpointId.trustDomain.name).catch((error: unknown) => {
      log.warn(
        { endpoint_spiffe_id: String(endpointId), err: error },
        'failed to check whether a bundle exists for the endpoint SPIFFE ID trust domain',
      );
      return 'unknown' as const;
    });
    if (kept === undefined)
      log.warn({ endpoint_spiffe_id: String(endpointId) }, 'bundle not found for the endpoint SPIFFE ID trust domain');
  }
}

function patchOf(
  relationship: ParsedRelationship,
  mask: FederationRelationshipMask | undefined,
): FederationRelationshipPatch {
  const { bundleEndpointUrl, bundleEndpointProfile, endpointSpiffeId } = recordOfRelationship(relationship);
  return {
    ...(mask === undefined || mask.bundleEndpointUrl ? { bundleEndpointUrl } : {}),
    ...(mask === undefined || mask.bundleEndpointProfile ? { bundleEndpointProfile, endpointSpiffeId } : {}),
  };
}

/** What is there already, or is not there, is INTERNAL to SPIRE's clients, who know it by that. */
async function attemptOnStore<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const isKnown = cause instanceof StoreError && (cause.code === 'CONFLICT' || cause.code === 'NOT_FOUND');
    if (isKnown) throw internal(`${what}: ${errorText(cause)}`, { cause });
    return attempt(what, () => Promise.reject(cause as Error));
  }
}

/** As it was asked for, where it is no trust domain. */
function nameOf(text: string): string {
  try {
    return parseTrustDomain(text).name;
  } catch {
    return text; // the status says why
  }
}

// The server's entries and federation relationships as registration reads and writes them: over its admin socket, or over mTLS with an SVID that the server
// lists among its administrators.
import { EntryService } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { TrustDomainService } from '../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { Entry as EntryMessage } from '../../proto/gen/spire/api/types/entry.ts';
import type { Entry as WireEntry } from '../../proto/gen/spire/api/types/entry.ts';
import type { FederationRelationship as WireRelationship } from '../../proto/gen/spire/api/types/federationrelationship.ts';
import type { Status } from '../../proto/gen/spire/api/types/status.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../runtime/rpc/client.ts';
import { statusCode } from '../../runtime/rpc/status.ts';
import type { TrustBundle } from '../../runtime/spiffe/bundle.ts';
import { emptyBundle } from '../../runtime/spiffe/bundle.ts';
import { parseSpiffeId, serverId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { connectSpiffe } from '../../runtime/workloadapi/tls.ts';
import { createWorkloadApi } from '../../runtime/workloadapi/workload-api.ts';
import { createX509Source } from '../../runtime/workloadapi/x509-source.ts';
import { keyed } from '../registration/entries/wanted-entry.ts';
import type { CurrentEntry, EntryAttributes } from '../registration/entries/wanted-entry.ts';
import type { Relationship } from '../registration/federation/relationship.ts';
import type { ItemOutcome, RegistrationServer } from '../registration/reconcile/ports.ts';
import { eachPage } from './pages.ts';
import { parseAddress } from './spire-server.ts';

export interface ClosableRegistrationServer extends RegistrationServer {
  close(): void;
}

export interface ChannelOptions {
  readonly trustDomain: string;
  /** The server's admin socket; or its address, and the socket of the agent that gives us an administrator's SVID. */
  readonly server: { readonly socket: string } | { readonly address: string; readonly workloadApiSocket: string };
  readonly signal: AbortSignal;
}

/** How the server is reached. Waits for the first SVID where one is needed. */
export async function registrationChannel({ trustDomain, server, signal }: ChannelOptions) {
  if ('socket' in server) return { connect: () => connect({ unixPath: server.socket }), close: () => undefined };
  const source = await createX509Source({ api: createWorkloadApi({ socketPath: server.workloadApiSocket }), signal });
  const expectedId = serverId(parseTrustDomain(trustDomain));
  const target = { ...parseAddress(server.address), source, expectedId };
  return { connect: () => connectSpiffe(target), close: () => source.close() };
}

const pageSize = 1_000;
/** A connection lives no longer than this, as the identity that it was made with does not live for ever. */
const longestConnectionMs = 600_000;
/** Batches carry the answers' statuses alone, and no entries. */
const idsOnly = {
  spiffeId: false,
  parentId: false,
  selectors: false,
  x509SvidTtl: false,
  federatesWith: false,
  admin: false,
  downstream: false,
  expiresAt: false,
  dnsNames: false,
  revisionNumber: false,
  storeSvid: false,
  jwtSvidTtl: false,
  hint: false,
  createdAt: false,
  additionalAttributes: false,
};
/** What registration decides; whatever else an entry has stays as it is. */
const ownFields = {
  ...idsOnly,
  x509SvidTtl: true,
  jwtSvidTtl: true,
  federatesWith: true,
  dnsNames: true,
  admin: true,
  downstream: true,
  storeSvid: true,
  hint: true,
};
const comparedFields = { ...ownFields, spiffeId: true, parentId: true, selectors: true };

export function createRegistrationServer(connect: () => RpcChannel, clock: () => number): ClosableRegistrationServer {
  let open: { readonly channel: RpcChannel; readonly since: number } | undefined;
  const channel = (): RpcChannel => {
    if (open !== undefined && clock() - open.since < longestConnectionMs) return open.channel;
    open?.channel.close();
    open = { channel: connect(), since: clock() };
    return open.channel;
  };
  const entries = () => createClient(EntryService, channel());
  const relationships = () => createClient(TrustDomainService, channel());

  return {
    async listEntries() {
      const client = entries();
      return allPages(async (pageToken) => {
        const page = await client.listEntries({ filter: undefined, outputMask: comparedFields, pageSize, pageToken });
        return { items: page.entries.map(readEntry), nextPageToken: page.nextPageToken };
      });
    },
    async createEntries(wanted) {
      const request = { entries: wanted.map(wireEntry), outputMask: idsOnly };
      return outcomesOf(await entries().batchCreateEntry(request));
    },
    async updateEntries(wanted) {
      const request = { entries: wanted.map(wireEntry), inputMask: ownFields, outputMask: idsOnly };
      return outcomesOf(await entries().batchUpdateEntry(request));
    },
    async deleteEntries(ids) {
      return outcomesOf(await entries().batchDeleteEntry({ ids: [...ids] }));
    },
    async listRelationships() {
      const client = relationships();
      return allPages(async (pageToken) => {
        const page = await client.listFederationRelationships({ outputMask: undefined, pageSize, pageToken });
        return { items: page.federationRelationships.map(readRelationship), nextPageToken: page.nextPageToken };
      });
    },
    async createRelationships(wanted) {
      const request = { federationRelationships: wanted.map(wireRelationship), outputMask: undefined };
      return outcomesOf(await relationships().batchCreateFederationRelationship(request));
    },
    async updateRelationships(wanted) {
      const outcomes: ItemOutcome[] = [];
      for (const one of wanted) {
        // Without a bundle of its own, the one that the endpoint served stays.
        const inputMask = {
          bundleEndpointUrl: true,
          bundleEndpointProfile: true,
          trustDomainBundle: one.bundle !== undefined,
        };
        const request = { federationRelationships: [wireRelationship(one)], inputMask, outputMask: undefined };
        outcomes.push(...outcomesOf(await relationships().batchUpdateFederationRelationship(request)));
      }
      return outcomes;
    },
    async deleteRelationships(trustDomains) {
      return outcomesOf(await relationships().batchDeleteFederationRelationship({ trustDomains: [...trustDomains] }));
    },
    close() {
      open?.channel.close();
      open = undefined;
    },
  };
}

async function allPages<T>(
  ask: (pageToken: string) => Promise<{ readonly items: readonly T[]; readonly nextPageToken: string }>,
): Promise<T[]> {
  const found: T[] = [];
  for await (const { items } of eachPage(ask)) found.push(...items);
  return found;
}

function outcomesOf({
  results,
}: {
  readonly results: readonly { readonly status?: Status | undefined }[];
}): ItemOutcome[] {
  return results.map(({ status }) => {
    if (status === undefined) return { code: 'failed', message: 'the server gave no status' };
    const code = codes.get(status.code) ?? 'failed';
    return { code, message: status.message };
  });
}

const codes = new Map<number, ItemOutcome['code']>([
  [statusCode.OK, 'ok'],
  [statusCode.ALREADY_EXISTS, 'already exists'],
  [statusCode.NOT_FOUND, 'not found'],
]);

function wireEntry(entry: EntryAttributes & { readonly id: string }): WireEntry {
  return EntryMessage.create({
    id: entry.id,
    spiffeId: wireId(entry.spiffeId),
    parentId: wireId(entry.parentId),
    selectors: [...entry.selectors],
    x509SvidTtl: entry.x509SvidTtl,
    jwtSvidTtl: entry.jwtSvidTtl,
    federatesWith: [...entry.federatesWith],
    dnsNames: [...entry.dnsNames],
    admin: entry.admin,
    downstream: entry.downstream,
    storeSvid: entry.storeSvid,
    hint: entry.hint,
  });
}

function wireId(text: string): NonNullable<WireEntry['spiffeId']> {
  const { trustDomain, path } = parseSpiffeId(text);
  return { trustDomain: trustDomain.name, path };
}

function readEntry(wire: WireEntry): CurrentEntry {
  const { id, spiffeId, parentId, selectors, x509SvidTtl, jwtSvidTtl } = wire;
  const { federatesWith, dnsNames, admin, downstream, storeSvid, hint } = wire;
  const attributes = { x509SvidTtl, jwtSvidTtl, federatesWith, dnsNames, admin, downstream, storeSvid, hint };
  return { id, ...keyed({ spiffeId: idText(spiffeId), parentId: idText(parentId), selectors, ...attributes }) };
}

const idText = (id: WireEntry['spiffeId']): string => `spiffe://${id?.trustDomain ?? ''}${id?.path ?? ''}`;

function wireRelationship({ trustDomain, url, endpointId, bundle }: Relationship): WireRelationship {
  return {
    trustDomain,
    bundleEndpointUrl: url,
    bundleEndpointProfile:
      endpointId === undefined
        ? { $case: 'httpsWeb', value: {} }
        : { $case: 'httpsSpiffe', value: { endpointSpiffeId: endpointId } },
    trustDomainBundle: bundle === undefined ? undefined : wireBundle(bundle),
  };
}

function wireBundle(bundle: TrustBundle): NonNullable<WireRelationship['trustDomainBundle']> {
  return {
    trustDomain: bundle.trustDomain.name,
    x509Authorities: bundle.x509Authorities.map(({ asn1 }) => ({ asn1, tainted: false })),
    jwtAuthorities: bundle.jwtAuthorities.map(({ publicKey, keyId, expiresAt }) => ({
      publicKey,
      keyId,
      expiresAt,
      tainted: false,
    })),
    refreshHint: bundle.refreshHintSeconds,
    sequenceNumber: bundle.sequenceNumber,
    witAuthorities: [],
  };
}

/** Of the server's bundle only whether there is one matters. */
function readRelationship(wire: WireRelationship): Relationship {
  const { trustDomain, bundleEndpointUrl, bundleEndpointProfile: profile, trustDomainBundle } = wire;
  return {
    trustDomain,
    url: bundleEndpointUrl,
    endpointId: profile?.$case === 'httpsSpiffe' ? profile.value.endpointSpiffeId : undefined,
    bundle: trustDomainBundle === undefined ? undefined : emptyBundle(parseTrustDomain(trustDomain)),
  };
}

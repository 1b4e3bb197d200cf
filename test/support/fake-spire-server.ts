// A small SPIRE server for tests of what talks to one: real certificates, real TLS, real gRPC, and no store. Tests change what it holds while it runs.
// It tells of no change by itself: where it has our fleet API, tests say what a watch hears.
import { randomUUID } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FleetService } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { WatchResponse } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import { AgentService } from '../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { AttestAgentResponse } from '../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryService } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { SyncAuthorizedEntriesResponse } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDService } from '../../proto/gen/spire/api/server/svid/v1/svid.ts';
import type { Bundle } from '../../proto/gen/spire/api/types/bundle.ts';
import { Entry } from '../../proto/gen/spire/api/types/entry.ts';
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../proto/gen/spire/api/types/status.ts';
import { parseCsr } from '../../runtime/pki/csr.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import type { CallContext } from '../../runtime/rpc/call-context.ts';
import { createQueue } from '../../runtime/rpc/queue.ts';
import type { Queue } from '../../runtime/rpc/queue.ts';
import { createRpcServer } from '../../runtime/rpc/server.ts';
import { invalidArgument, notFound, permissionDenied, unauthenticated, unavailable } from '../../runtime/rpc/status.ts';
import type { RpcError } from '../../runtime/rpc/status.ts';
import { clientVerifier } from '../../runtime/rpc/verify-peer.ts';
import { agentId, createSpiffeId, serverId } from '../../runtime/spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from './fake-authority.ts';

export interface FakeEntry {
  readonly id?: string;
  readonly path: string;
  readonly selectors: readonly string[];
  readonly hint?: string;
  readonly revisionNumber?: number;
  readonly createdAt?: number;
  readonly includeJti?: boolean;
  readonly federatesWith?: readonly string[];
  readonly admin?: boolean;
  readonly downstream?: boolean;
}

const trustDomain = parseTrustDomain('example.org');
const openMethods = new Set(['attestAgent', 'getBundle']);

/** Listens on 127.0.0.1. */
export async function startFakeSpireServer({
  port = 0,
  hasSync = true,
  hasFleet = false,
  authority = createFakeAuthority(trustDomain),
} = {}) {
  const state = {
    tokens: new Set<string>(),
    entries: [] as Entry[],
    calls: new Map<string, number>(),
    agents: [] as string[],
    /** The keys that were asked for, base64, and whether as asked for before. */
    attestations: [] as { readonly key: string; readonly again: boolean }[],
    /** How many attestations take the token and end without an answer. */
    lostAnswers: 0,
    reattestable: false,
    /** Milliseconds. */
    agentTtl: 3_600_000,
    svidTtl: 3_600_000,
    /** What every call of an agent is refused with. */
    refusal: undefined as keyof typeof Reason | undefined,
    refusesToSign: new Set<string>(),
    /** By trust domain name, as they go over the wire. */
    federated: new Map<string, Bundle>(),
    /** How many calls of GetBundle fail before the next one succeeds. */
    bundleFailures: 0,
    pageSize: 2,
    /** Revisions that watches began with. */
    watchedFrom: [] as string[],
  };
  const watches = new Set<Queue<WatchResponse>>();

  const issueAgent = (publicKey: KeyObject, spiffeId: SpiffeId) => {
    state.agents.push(spiffeId.toString());
    return { ...authority.issue({ publicKey, spiffeId, ttl: state.agentTtl }), id: undefined, hint: '' };
  };

  const server = createRpcServer({
    intercept({ method, connection }: CallContext) {
      const name = lowerFirst(method.slice(method.lastIndexOf('/') + 1));
      state.calls.set(name, (state.calls.get(name) ?? 0) + 1);
      if (openMethods.has(name)) return Promise.resolve();
      if (connection.transport !== 'tcp' || connection.peerId === undefined)
        return Promise.reject(unauthenticated('no SVID'));
      return state.refusal === undefined ? Promise.resolve() : Promise.reject(refusalOf(state.refusal));
    },
  });

  server.addService(AgentService, {
    async *attestAgent(requests, { metadata }): AsyncGenerator<AttestAgentResponse, void, undefined> {
      for await (const { step } of requests) {
        if (step?.$case !== 'params') throw invalidArgument('unexpected step');
        const token = Buffer.from(step.value.data?.payload ?? []).toString();
        const { publicKey, spki } = parseCsr(step.value.params?.csr ?? new Uint8Array());
        const key = Buffer.from(spki).toString('base64');
        const again = metadata.get('espalier-attestation').includes('again');
        const isKnown = again && state.attestations.some((attested) => attested.key === key);
        state.attestations.push({ key, again });
        if (!state.reattestable && !state.tokens.delete(token) && !isKnown)
          throw invalidArgument('failed to attest: join token does not exist or has already been used');
        state.lostAnswers -= 1;
        if (state.lostAnswers >= 0) throw unavailable('the connection broke');
        yield {
          step: {
            $case: 'result',
            value: {
              svid: issueAgent(publicKey, agentId(trustDomain, 'join_token', token)),
              reattestable: state.reattestable,
            },
          },
        };
        return;
      }
    },
    renewAgent: async ({ params }, { connection }) => {
      if (connection.transport !== 'tcp' || connection.peerId === undefined) throw unauthenticated('no SVID');
      return { svid: issueAgent(parseCsr(params?.csr ?? new Uint8Array()).publicKey, connection.peerId) };
    },
    postStatus: async () => ({}),
  });

  if (hasFleet) {
    server.addService(FleetService, {
      async *watch({ revision }) {
        state.watchedFrom.push(revision);
        const watch = createQueue<WatchResponse>();
        watches.add(watch);
        try {
          yield { revision: 'r0', entriesChanged: revision !== 'r0', bundlesChanged: revision !== 'r0' };
          yield* watch;
        } finally {
          watches.delete(watch);
        }
      },
    });
  }

  server.addService(BundleService, {
    getBundle: async () => {
      state.bundleFailures -= 1;
      if (state.bundleFailures >= 0) throw unavailable('no bundle now');
      return authority.bundle();
    },
    getFederatedBundle: async ({ trustDomain: name }) => {
      const bundle = state.federated.get(name);
      if (bundle === undefined) throw notFound('bundle not found');
      return bundle;
    },
  });

  server.addService(EntryService, {
    getAuthorizedEntries: async () => ({ entries: state.entries }),
    ...(hasSync ? { syncAuthorizedEntries: (requests) => syncEntries(requests, state) } : {}),
  });

  server.addService(SVIDService, {
    batchNewX509Svid: async ({ params }) => ({
      results: params.map(({ entryId, csr }) => {
        const entry = state.entries.find(({ id }) => id === entryId);
        if (entry?.spiffeId?.path.startsWith('/') !== true || state.refusesToSign.has(entryId)) {
          return { status: { code: 5, message: 'entry not found or not authorized' }, svid: undefined };
        }
        const spiffeId = createSpiffeId(trustDomain, entry.spiffeId.path);
        const svid = authority.issue({ publicKey: parseCsr(csr).publicKey, spiffeId, ttl: state.svidTtl });
        return { status: { code: 0, message: 'OK' }, svid: { ...svid, id: entry.spiffeId, hint: entry.hint } };
      }),
    }),
    newJwtsvid: async ({ entryId, audience }) => {
      const entry = state.entries.find(({ id }) => id === entryId);
      if (entry?.spiffeId === undefined) throw invalidArgument('entry not found or not authorized');
      return { svid: authority.signJwt(createSpiffeId(trustDomain, entry.spiffeId.path), audience) };
    },
  });

  const address = await server.listenTls({
    host: '127.0.0.1',
    port,
    credentials: () => authority.serverCredentials(serverId(trustDomain)),
    verifyPeer: clientVerifier({ trustDomain, roots: () => authority.roots(), clock: Date.now }),
  });

  return {
    trustDomain,
    authority,
    state,
    port: address.port,
    bundlePem: () => certificatesToPem(authority.roots()),
    createToken(): string {
      const token = randomUUID();
      state.tokens.add(token);
      return token;
    },
    setEntries(...entries: FakeEntry[]): void {
      state.entries = entries.map(entryOf);
    },
    /** To every watch. */
    tell(revision: string, changed: { entries?: true; bundles?: true }): void {
      const { entries: entriesChanged = false, bundles: bundlesChanged = false } = changed;
      for (const watch of watches) watch.push({ revision, entriesChanged, bundlesChanged });
    },
    watchCount: () => watches.size,
    endWatches(error: Error): void {
      for (const watch of watches) watch.end(error);
    },
    close: () => server.close(50),
  };
}

export type FakeSpireServer = Awaited<ReturnType<typeof startFakeSpireServer>>;

async function* syncEntries(
  requests: AsyncIterable<{ ids: string[] }>,
  state: { entries: Entry[]; pageSize: number },
): AsyncGenerator<SyncAuthorizedEntriesResponse, void, undefined> {
  const { entries, pageSize } = state;
  let first = true;
  for await (const { ids } of requests) {
    if (!first) {
      yield { entryRevisions: [], entries: entries.filter(({ id }) => ids.includes(id)), more: false };
      continue;
    }
    first = false;
    if (entries.length <= pageSize) {
      yield { entryRevisions: [], entries, more: false };
      return;
    }
    for (let i = 0; i < entries.length; i += pageSize) {
      const entryRevisions = entries
        .slice(i, i + pageSize)
        .map(({ id, revisionNumber, createdAt }) => ({ id, revisionNumber, createdAt }));
      yield { entryRevisions, entries: [], more: i + pageSize < entries.length };
    }
  }
}

function entryOf(entry: FakeEntry): Entry {
  return Entry.create({
    id: entry.id ?? [entry.path, ...entry.selectors].join(' '), // another entry has another id
    spiffeId: { trustDomain: trustDomain.name, path: entry.path },
    parentId: { trustDomain: trustDomain.name, path: '/spire/agent/join_token/t' },
    selectors: entry.selectors.map((text) => ({
      type: text.slice(0, text.indexOf(':')),
      value: text.slice(text.indexOf(':') + 1),
    })),
    hint: entry.hint ?? '',
    revisionNumber: entry.revisionNumber ?? 0,
    createdAt: entry.createdAt ?? 1,
    federatesWith: [...(entry.federatesWith ?? [])],
    admin: entry.admin ?? false,
    downstream: entry.downstream ?? false,
    additionalAttributes: { jwtSvidIncludeJti: entry.includeJti ?? false },
  });
}

function refusalOf(reason: keyof typeof Reason): RpcError {
  const value = PermissionDeniedDetails.encode({ reason: Reason[reason] }).finish();
  return permissionDenied('agent is not welcome', {
    details: [{ type: 'spire.api.types.PermissionDeniedDetails', value }],
  });
}

function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

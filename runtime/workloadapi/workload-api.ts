// The Workload API as a workload calls it: answers come back parsed and checked. One call each; what keeps an SVID fresh is x509-source.ts.
import { SpiffeWorkloadAPIService } from '../../proto/gen/spiffe/workload/workload.ts';
import type { JWTBundlesResponse } from '../../proto/gen/spiffe/workload/workload.ts';
import { connect, createClient } from '../rpc/client.ts';
import type { RpcLog } from '../rpc/call-context.ts';
import { parseJwkSet } from '../spiffe/bundle.ts';
import type { TrustBundle } from '../spiffe/bundle.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { endpointVariable, parseEndpointSocket } from './endpoint.ts';
import { WorkloadError } from './errors.ts';
import { parseX509Bundles, parseX509Context } from './x509-context.ts';
import type { X509Bundles, X509Context } from './x509-context.ts';

export interface WorkloadApiOptions {
  readonly socketPath?: string;
  /** Looked up for SPIFFE_ENDPOINT_SOCKET where no path is given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly log?: RpcLog;
}

export interface CallLimits {
  readonly signal?: AbortSignal;
  readonly deadlineMs?: number;
}

export interface JwtSvidRequest {
  readonly audience: readonly string[];
  /** One of the workload's IDs; all of them where it is left out. */
  readonly spiffeId?: SpiffeId;
}

export interface JwtSvid {
  readonly id: SpiffeId;
  readonly token: string;
  readonly hint: string;
}

export interface ValidatedJwtSvid {
  readonly id: SpiffeId;
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface WorkloadApi {
  /** At once what there is, then again at each change. */
  fetchX509Svid(limits?: CallLimits): AsyncIterable<X509Context>;
  fetchX509Bundles(limits?: CallLimits): AsyncIterable<X509Bundles>;
  fetchJwtSvid(request: JwtSvidRequest, limits?: CallLimits): Promise<JwtSvid[]>;
  fetchJwtBundles(limits?: CallLimits): AsyncIterable<ReadonlyMap<string, TrustBundle>>;
  /** Rejects with INVALID_ARGUMENT where the token does not hold. */
  validateJwtSvid(
    request: { readonly audience: string; readonly token: string },
    limits?: CallLimits,
  ): Promise<ValidatedJwtSvid>;
  close(): void;
}

/** Without it an agent refuses: a request that somebody tricked a workload into sending does not carry it. */
const metadata = { 'workload.spiffe.io': 'true' };

/** Connects at the first call. */
export function createWorkloadApi(options: WorkloadApiOptions = {}): WorkloadApi {
  const channel = connect({ unixPath: socketPathOf(options) }, options.log === undefined ? {} : { log: options.log });
  const client = createClient(SpiffeWorkloadAPIService, channel);
  return {
    async *fetchX509Svid(limits) {
      for await (const response of client.fetchX509Svid({}, { ...limits, metadata })) yield parseX509Context(response);
    },
    async *fetchX509Bundles(limits) {
      for await (const response of client.fetchX509Bundles({}, { ...limits, metadata }))
        yield parseX509Bundles(response);
    },
    async fetchJwtSvid({ audience, spiffeId }, limits) {
      const request = { audience: [...audience], spiffeId: spiffeId?.toString() ?? '' };
      const { svids } = await client.fetchJwtsvid(request, { ...limits, metadata });
      return svids.map(({ spiffeId: id, svid, hint }) => ({ id: parseSpiffeId(id), token: svid, hint }));
    },
    async *fetchJwtBundles(limits) {
      for await (const response of client.fetchJwtBundles({}, { ...limits, metadata })) yield parseJwtBundles(response);
    },
    async validateJwtSvid({ audience, token }, limits) {
      const { spiffeId, claims } = await client.validateJwtsvid({ audience, svid: token }, { ...limits, metadata });
      return { id: parseSpiffeId(spiffeId), claims: claims ?? {} };
    },
    close: () => channel.close(),
  };
}

function socketPathOf({ socketPath, env }: WorkloadApiOptions): string {
  if (socketPath !== undefined) return socketPath;
  const text = env?.[endpointVariable];
  if (text === undefined || text === '')
    throw new WorkloadError('ENDPOINT', `no socket path, and ${endpointVariable} is not set`);
  return parseEndpointSocket(text);
}

function parseJwtBundles({ bundles }: JWTBundlesResponse): Map<string, TrustBundle> {
  const parsed = Object.entries(bundles).map(([name, document]): [string, TrustBundle] => {
    const trustDomain = parseTrustDomain(name);
    return [trustDomain.name, parseJwkSet(trustDomain, Buffer.from(document).toString('utf8'))];
  });
  return new Map(parsed);
}

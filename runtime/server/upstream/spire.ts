// UpstreamAuthority "spire": a server above us signs our CA. We show it the SVID that an agent of its own gives us over the Workload API.
import { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { WatchResponse } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import type { Logger } from '../../log.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { createClient } from '../../rpc/client.ts';
import type { RpcChannel } from '../../rpc/client.ts';
import { RpcError, statusCode, statusName } from '../../rpc/status.ts';
import { serverId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { connectSpiffe } from '../../workloadapi/tls.ts';
import { createWorkloadApi } from '../../workloadapi/workload-api.ts';
import { createX509Source } from '../../workloadapi/x509-source.ts';
import type { X509Source } from '../../workloadapi/x509-source.ts';
import { AuthorityError } from '../ca/authority.ts';
import { followBundle } from './follow-bundle.ts';
import { bundleOfWire, jwtAuthoritiesOfWire, jwtAuthorityToWire } from './wire.ts';
import type { UpstreamAuthority } from './upstream-authority.ts';

export interface SpireUpstreamOptions {
  readonly serverAddress: string;
  readonly serverPort: number;
  /** A path; `unix://` before it is allowed. */
  readonly workloadApiSocket: string;
  readonly trustDomain: TrustDomain;
  readonly log: Logger;
  readonly clock: () => number;
  /** Between two looks at the bundle of an upstream that does not tell of changes; a bundle that the agent pushes is looked at at once. */
  readonly pollMs?: number;
}

const defaultPollMs = 5_000;
/** For the agent's first SVID; whoever starts the server tries again. */
const identityTimeoutMs = 10_000;
const callTimeoutMs = 30_000;

/** Asking again cannot help with these. */
const permanent: ReadonlySet<number> = new Set([
  statusCode.INVALID_ARGUMENT,
  statusCode.FAILED_PRECONDITION,
  statusCode.UNIMPLEMENTED,
]);

interface Connection {
  readonly source: X509Source;
  readonly channel: RpcChannel;
}

/** Connects at the first call. */
export function createSpireUpstream(options: SpireUpstreamOptions): UpstreamAuthority {
  const { serverAddress, serverPort, trustDomain, log, clock, pollMs = defaultPollMs } = options;
  const closing = new AbortController();
  const api = createWorkloadApi({ socketPath: options.workloadApiSocket.replace(/^unix:(\/\/)?/, ''), log });
  let connection: Promise<Connection> | undefined;

  const connect = async (): Promise<Connection> => {
    const source = await createX509Source({ api, log, signal: closing.signal });
    const expectedId = serverId(trustDomain);
    return {
      source,
      channel: connectSpiffe({ host: serverAddress, port: serverPort, source, expectedId, clock, log }),
    };
  };
  const connected = (signal: AbortSignal): Promise<Connection> => {
    connection ??= connect();
    return within(connection, AbortSignal.any([signal, AbortSignal.timeout(identityTimeoutMs)]));
  };
  const call = async <T>(what: string, signal: AbortSignal, act: (channel: RpcChannel) => Promise<T>): Promise<T> => {
    try {
      return await act((await connected(signal)).channel);
    } catch (error) {
      throw translate(what, error);
    }
  };
  const limits = (signal: AbortSignal) => ({ signal, deadlineMs: callTimeoutMs });
  const fetchBundle = (signal: AbortSignal) =>
    call('get the bundle', signal, async (channel) =>
      bundleOfWire(
        await createClient(BundleService, channel).getBundle({ outputMask: undefined }, limits(signal)),
        trustDomain,
      ),
    );

  async function* openWatch(revision: string, signal: AbortSignal): AsyncGenerator<WatchResponse, void, undefined> {
    yield* createClient(FleetService, (await connected(signal)).channel).watch({ revision }, { signal });
  }

  return {
    name: 'spire',
    mintX509Ca: (csr, preferredTtlMs, signal) =>
      call('request a downstream X.509 CA', signal, async (channel) => {
        const preferredTtl = Math.floor(preferredTtlMs / 1000);
        const client = createClient(SVIDService, channel);
        const minted = await client.newDownstreamX509Ca({ csr, preferredTtl }, limits(signal));
        return {
          chain: minted.caCertChain.map(parseCertificate),
          roots: minted.x509Authorities.map((der) => ({ asn1: parseCertificate(der).der })),
        };
      }),
    publishJwtAuthority: (authority, signal) =>
      call('publish a JWT key', signal, async (channel) => {
        const client = createClient(BundleService, channel);
        const request = { jwtAuthority: jwtAuthorityToWire(authority) };
        return jwtAuthoritiesOfWire((await client.publishJwtAuthority(request, limits(signal))).jwtAuthorities);
      }),
    watchBundle: (listener, signal) =>
      followBundle(
        {
          fetchBundle,
          openWatch,
          onAgentUpdate: async (heard, ended) => (await connected(ended)).source.onUpdate(heard),
          pollMs,
          log,
        },
        listener,
        signal,
      ),
    // Not translated: that the upstream has no such method is an answer of its own.
    report: async (report, signal) => {
      const { channel } = await connected(signal);
      return (await createClient(FleetService, channel).report(report, limits(signal))).heartbeatMs;
    },
    close() {
      closing.abort();
      void connection?.then(({ channel, source }) => {
        channel.close();
        source.close();
      }, ignoreNeverConnected);
      api.close();
    },
  };
}

function ignoreNeverConnected(): void {
  // There is nothing to close.
}

/** The promise goes on when the signal ends the wait: the next caller may find it fulfilled. */
function within<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = (): void =>
      reject(
        new AuthorityError('UPSTREAM_UNAVAILABLE', 'the Workload API gave no X509-SVID yet', { cause: signal.reason }),
      );
    if (signal.aborted) return give();
    signal.addEventListener('abort', give, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
  });
}

function translate(what: string, error: unknown): Error {
  if (error instanceof AuthorityError) return error;
  if (!(error instanceof RpcError)) {
    return new AuthorityError('INVALID', `unable to ${what}: the upstream's answer does not hold`, { cause: error });
  }
  const code = permanent.has(error.code) ? 'INVALID' : 'UPSTREAM_UNAVAILABLE';
  return new AuthorityError(code, `unable to ${what}: ${statusName(error.code)}: ${error.message}`, { cause: error });
}

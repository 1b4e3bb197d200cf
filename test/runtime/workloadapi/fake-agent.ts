// The Workload API as an agent serves it, told by the test what to say; every stream hears each update.
import { onTestFinished } from 'vitest';
import { SpiffeWorkloadAPIService } from '../../../proto/gen/spiffe/workload/workload.ts';
import type { X509SVIDResponse } from '../../../proto/gen/spiffe/workload/workload.ts';
import { createQueue } from '../../../runtime/rpc/queue.ts';
import type { Queue } from '../../../runtime/rpc/queue.ts';
import { createRpcServer } from '../../../runtime/rpc/server.ts';
import { invalidArgument, permissionDenied } from '../../../runtime/rpc/status.ts';
import { createWorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import type { WorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import { createX509Source } from '../../../runtime/workloadapi/x509-source.ts';
import type { X509Source } from '../../../runtime/workloadapi/x509-source.ts';
import { socketPath } from '../rpc/echo-service.ts';
import type { TestCa, TestSvid } from '../rpc/test-ca.ts';

export interface FakeAgent {
  readonly path: string;
  readonly api: WorkloadApi;
  /** What callers get from now on; undefined: no identity issued. */
  say(response: X509SVIDResponse | undefined): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Answers fetchX509SVID, fetchX509Bundles, fetchJWTSVID and validateJWTSVID. */
export async function startAgent(first?: X509SVIDResponse): Promise<FakeAgent> {
  const path = await socketPath();
  const streams = new Set<Queue<X509SVIDResponse | undefined>>();
  let current = first;
  let server = createRpcServer();
  const api = createWorkloadApi({ env: { SPIFFE_ENDPOINT_SOCKET: `unix://${path}` } });
  const agent: FakeAgent = {
    path,
    api,
    say(response) {
      current = response;
      for (const stream of streams) stream.push(response);
    },
    stop: () => server.close(0),
    async start() {
      server = createRpcServer({
        intercept: async ({ metadata }) => {
          if (metadata.get('workload.spiffe.io').join() !== 'true')
            throw invalidArgument('security header missing from request');
        },
      });
      server.addService(SpiffeWorkloadAPIService, {
        async *fetchX509Svid() {
          const updates = createQueue<X509SVIDResponse | undefined>();
          streams.add(updates);
          updates.push(current);
          for await (const update of updates) {
            if (update === undefined) throw permissionDenied('no identity issued');
            yield update;
          }
        },
        async *fetchX509Bundles() {
          yield { crl: [], bundles: current?.federatedBundles ?? {} };
        },
        fetchJwtsvid: async ({ audience, spiffeId }) => ({
          svids: [{ spiffeId, svid: `token for ${audience.join()}`, hint: 'h' }],
        }),
        validateJwtsvid: async ({ audience, svid }) => {
          if (svid !== 'good') throw invalidArgument('token is malformed');
          return {
            spiffeId: 'spiffe://example.org/workload',
            claims: { aud: [audience], sub: 'spiffe://example.org/workload' },
          };
        },
      });
      await server.listenUnix(path, { mode: 0o777 });
    },
  };
  await agent.start();
  onTestFinished(async () => {
    api.close();
    await agent.stop();
  });
  return agent;
}

/** The answer that carries these SVIDs, and federated bundles beside. */
export function x509Response(
  ca: TestCa,
  svids: readonly TestSvid[],
  federated: readonly TestCa[] = [],
): X509SVIDResponse {
  return {
    svids: svids.map(({ id, certificate, privateKey }, index) => ({
      spiffeId: id.toString(),
      x509Svid: certificate.der,
      x509SvidKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
      bundle: ca.root.der,
      hint: index === 0 ? 'internal' : '',
    })),
    crl: [],
    federatedBundles: Object.fromEntries(federated.map((other) => [other.trustDomain.idString(), other.root.der])),
  };
}

/** A source fed by an agent of its own. */
export async function sourceOf(ca: TestCa, path: string, federated: readonly TestCa[] = []): Promise<X509Source> {
  const { api } = await startAgent(x509Response(ca, [ca.issue(path)], federated));
  const source = await createX509Source({ api });
  onTestFinished(() => source.close());
  return source;
}

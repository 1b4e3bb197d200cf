// The demonstration workload: a service that admits only its peers, and a control port on which operators ask for proof of who it is, whom it
// reached and whom it refused.
import type { RpcLog } from '../rpc/call-context.ts';
import { certificatesToPem } from '../pki/pem.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { WorkloadError } from '../workloadapi/errors.ts';
import { connectMtls } from '../workloadapi/mtls.ts';
import type { X509Source } from '../workloadapi/x509-source.ts';
import { getJson, listenForHttp } from './mtls-http.ts';
import type { Answer, Asked } from './mtls-http.ts';
import { parseAddress } from './workload-config.ts';
import type { WorkloadConfig } from './workload-config.ts';
import * as z from 'zod';

export interface DemoWorkload {
  readonly servicePort: number;
  readonly controlPort: number;
  close(): Promise<void>;
}

export interface DemoWorkloadOptions {
  readonly config: WorkloadConfig;
  readonly source: X509Source;
  readonly clock: () => number;
  readonly log: RpcLog;
}

interface Refusal {
  readonly time: string;
  /** Who the peer said that it was; verified unless the reason says otherwise. */
  readonly peerId: string | null;
  readonly reason: string;
}

const keptRefusals = 1000;
const dialMs = 5_000;

export async function startDemoWorkload({ config, source, clock, log }: DemoWorkloadOptions): Promise<DemoWorkload> {
  const refusals: Refusal[] = [];
  const refused = (error: WorkloadError): void => {
    refusals.push({
      time: new Date(clock()).toISOString(),
      peerId: error.peerId?.toString() ?? null,
      reason: error.message,
    });
    if (refusals.length > keptRefusals) refusals.shift();
  };
  const service = await listenForHttp({
    ...config.service,
    source,
    log,
    refused,
    authorize: (id) => config.peers.has(id.toString()),
    answer: ({ route, caller }) => Promise.resolve(answerPeer(route, caller, source)),
  });
  const control = await listenForHttp({
    ...config.control,
    source,
    log,
    refused: (error) => log.warn({ err: error }, 'control port refused a caller'),
    authorize: (id) => config.operators.has(id.toString()),
    answer: (asked) => answerOperator(asked, source, refusals),
  });
  return {
    servicePort: service.address.port,
    controlPort: control.address.port,
    async close() {
      await Promise.all([service.close(), control.close()]);
    },
  };
}

function answerPeer(route: string, caller: SpiffeId, source: X509Source): Answer {
  if (route !== 'GET /identity') return notFound;
  const { id, chain } = source.svid();
  return { status: 200, body: { id: id.toString(), chain: pems(chain), caller: caller.toString() } };
}

async function answerOperator(
  { route, body }: Asked,
  source: X509Source,
  refusals: readonly Refusal[],
): Promise<Answer> {
  if (route === 'GET /refusals') return { status: 200, body: refusals };
  if (route === 'POST /handshake') return shakeHands(body, source);
  if (route !== 'GET /identity') return notFound;
  const { id, chain } = source.svid();
  const bundle = source.bundle(id.trustDomain).x509Authorities.map(({ asn1 }) => asn1);
  return { status: 200, body: { id: id.toString(), chain: pems(chain), bundle: pems(bundle) } };
}

const notFound: Answer = { status: 404, body: { error: 'not found' } };
const orderSchema = z.object({ address: z.string(), expectedId: z.string() });
const identitySchema = z.object({ id: z.string(), chain: z.array(z.string()), caller: z.string() });

/** Always over a new connection: an old one would prove what once was. */
async function shakeHands(body: string, source: X509Source): Promise<Answer> {
  let order: { readonly host: string; readonly port: number; readonly expectedId: SpiffeId };
  try {
    const { address, expectedId } = orderSchema.parse(JSON.parse(body));
    order = { ...parseAddress(address), expectedId: parseSpiffeId(expectedId) };
  } catch (error) {
    return {
      status: 400,
      body: { error: `want {"address": "host:port", "expectedId": "spiffe://…"}: ${reasonOf(error)}` },
    };
  }
  const self = source.svid().id.toString();
  try {
    const authorize = (id: SpiffeId) => id.equals(order.expectedId);
    const { socket, peerId, peerChain } = await connectMtls({ ...order, source, authorize, timeoutMs: dialMs });
    try {
      const { caller } = identitySchema.parse(await getJson(socket, '/identity'));
      return { status: 200, body: { self, peer: peerId.toString(), peerChain: pems(peerChain), seenAs: caller } };
    } finally {
      socket.destroy();
    }
  } catch (error) {
    return { status: 502, body: { self, error: reasonOf(error) } };
  }
}

function pems(chain: readonly Uint8Array[]): string[] {
  return chain.map((der) => certificatesToPem([der]));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

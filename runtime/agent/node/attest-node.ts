// Node attestation as the agent sees it: evidence goes up, challenges come down, and at the end there is an SVID.
import type {
  AgentService,
  AttestAgentRequest,
  AttestAgentResponse_Result,
} from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { askedAgainHeader, askedAgainValue } from '../../attest/asked-again.ts';
import type { AgentAttestor } from '../../attest/attestor.ts';
import { createQueue } from '../../rpc/queue.ts';
import type { Client } from '../../rpc/service.ts';
import { RpcError, statusCode } from '../../rpc/status.ts';
import { refusalOf } from '../refusal.ts';

export interface AttestNodeOptions {
  readonly client: Client<typeof AgentService>;
  readonly attestor: AgentAttestor;
  /** DER, without a name: who the agent is, the server says. */
  readonly csr: Uint8Array;
  /** The key of the CSR is that of an attestation that was begun and whose answer did not come. */
  readonly again: boolean;
  readonly signal: AbortSignal;
}

export interface AttestedNode {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly reattestable: boolean;
}

/** An attestor that waits for its cloud may take a while; the server may wait for its rate limit. */
const attestationMs = 60_000;

export async function attestNode({ client, attestor, csr, again, signal }: AttestNodeOptions): Promise<AttestedNode> {
  const payload = await attestor.payload();
  const requests = createQueue<AttestAgentRequest>();
  requests.push({
    step: { $case: 'params', value: { data: { type: attestor.type, payload }, params: { csr } } },
  });
  const metadata = again ? { [askedAgainHeader]: askedAgainValue } : {};
  try {
    for await (const { step } of client.attestAgent(requests, { deadlineMs: attestationMs, metadata, signal })) {
      if (step === undefined) throw new Error('attestation response is empty');
      if (step.$case === 'result') return nodeOf(step.value);
      requests.push({ step: { $case: 'challengeResponse', value: await attestor.respond(step.value) } });
    }
  } catch (error) {
    throw withWayOut(error, attestor);
  } finally {
    requests.end();
  }
  throw new Error('attestation ended without a result');
}

/**
 * A node whose state is gone, after a new disk or a boot without one, is locked out where its evidence is taken once, and the server's refusal alone
 * does not say how it gets in again.
 */
function withWayOut(error: unknown, attestor: AgentAttestor): unknown {
  const way = error instanceof RpcError ? wayOut(error, attestor) : undefined;
  if (way === undefined || !(error instanceof RpcError)) return error;
  return new RpcError(error.code, `${error.message} (${way})`, { details: error.details, cause: error });
}

function wayOut(error: RpcError, { type, isTrustedOnFirstUse }: AgentAttestor): string | undefined {
  if (type === 'join_token' && error.code === statusCode.INVALID_ARGUMENT) {
    return (
      'a join token is taken once: if this node attested before and its data directory is gone, make a new one at the server with ' +
      '"spire-server token generate" and start the agent with it'
    );
  }
  if (isTrustedOnFirstUse !== true || error.code !== statusCode.PERMISSION_DENIED) return undefined;
  if (refusalOf(error) !== undefined) return undefined;
  return (
    `evidence of ${type} is taken once for a node: if this node attested before and its data directory is gone, evict its agent at the server with ` +
    '"spire-server agent evict -spiffeID <the agent\'s SPIFFE ID>" and start the agent again'
  );
}

function nodeOf({ svid, reattestable }: AttestAgentResponse_Result): AttestedNode {
  if (svid === undefined || svid.certChain.length === 0) throw new Error('attestation result has no SVID');
  return { chain: svid.certChain, reattestable };
}

// Node attestation as the agent sees it: evidence goes up, challenges come down, and at the end there is an SVID.
import type {
  AgentService,
  AttestAgentRequest,
  AttestAgentResponse_Result,
} from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { AgentAttestor } from '../../attest/attestor.ts';
import { createQueue } from '../../rpc/queue.ts';
import type { Client } from '../../rpc/service.ts';

export interface AttestNodeOptions {
  readonly client: Client<typeof AgentService>;
  readonly attestor: AgentAttestor;
  /** DER, without a name: who the agent is, the server says. */
  readonly csr: Uint8Array;
  readonly signal: AbortSignal;
}

export interface AttestedNode {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly reattestable: boolean;
}

/** An attestor that waits for its cloud may take a while; the server may wait for its rate limit. */
const attestationMs = 60_000;

export async function attestNode({ client, attestor, csr, signal }: AttestNodeOptions): Promise<AttestedNode> {
  const payload = await attestor.payload();
  const requests = createQueue<AttestAgentRequest>();
  requests.push({
    step: { $case: 'params', value: { data: { type: attestor.type, payload }, params: { csr } } },
  });
  try {
    for await (const { step } of client.attestAgent(requests, { deadlineMs: attestationMs, signal })) {
      if (step === undefined) throw new Error('attestation response is empty');
      if (step.$case === 'result') return nodeOf(step.value);
      requests.push({ step: { $case: 'challengeResponse', value: await attestor.respond(step.value) } });
    }
  } finally {
    requests.end();
  }
  throw new Error('attestation ended without a result');
}

function nodeOf({ svid, reattestable }: AttestAgentResponse_Result): AttestedNode {
  if (svid === undefined || svid.certChain.length === 0) throw new Error('attestation result has no SVID');
  return { chain: svid.certChain, reattestable };
}

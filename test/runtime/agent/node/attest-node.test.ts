// What an agent says when the server refuses its evidence: a node whose state is gone must learn how it gets in again.
import { describe, expect, it } from 'vitest';
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason,
} from '../../../../proto/gen/spire/api/types/status.ts';
import type { AgentService } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { attestNode } from '../../../../runtime/agent/node/attest-node.ts';
import { createAgentAttestor } from '../../../../runtime/attest/agent-attestors.ts';
import type { AgentAttestor } from '../../../../runtime/attest/attestor.ts';
import type { Client } from '../../../../runtime/rpc/service.ts';
import { invalidArgument, permissionDenied, unavailable } from '../../../../runtime/rpc/status.ts';
import { log, trustDomain } from '../../attest/server-context.ts';

const said = 'failed to attest: attestation data has already been used to attest an agent';
const once: AgentAttestor = {
  type: 'aws_iid',
  isTrustedOnFirstUse: true,
  payload: () => Promise.resolve(new Uint8Array([1])),
  respond: () => Promise.reject(new Error('no challenge expected')),
};
const again: AgentAttestor = { ...once, type: 'x509pop', isTrustedOnFirstUse: false };

function refusedWith(error: Error, attestor: AgentAttestor): Promise<unknown> {
  const client = {
    attestAgent: async function* () {
      throw await Promise.resolve(error);
    },
  } as unknown as Client<typeof AgentService>;
  const attempt = attestNode({
    client,
    attestor,
    csr: new Uint8Array(),
    again: false,
    signal: AbortSignal.timeout(60_000),
  });
  return attempt.catch((caught: unknown) => caught);
}

describe('a refusal of evidence that serves once', () => {
  it('names the way out, and is the same refusal', async () => {
    const error = permissionDenied(said);
    expect(await refusedWith(error, once)).toMatchObject({
      name: 'RpcError',
      code: error.code,
      message: `${said} (evidence of aws_iid is taken once for a node: if this node attested before and its data directory is gone, evict its agent at the server with "spire-server agent evict -spiffeID <the agent's SPIFFE ID>" and start the agent again)`,
      cause: error,
    });
  });

  it('is that of a join token, too', async () => {
    const error = invalidArgument('join token does not exist or has already been used');
    expect(await refusedWith(error, { ...again, type: 'join_token' })).toMatchObject({
      code: error.code,
      message: `${error.message} (a join token is taken once: if this node attested before and its data directory is gone, make a new one at the server with "spire-server token generate" and start the agent with it)`,
      cause: error,
    });
  });

  it.each(['aws_iid', 'gcp_iit'])('is possible with %s', async (type) => {
    const attestor = await createAgentAttestor(type, {}, { trustDomain, log, env: {} });
    expect(attestor.isTrustedOnFirstUse).toBe(true);
  });
});

describe('another refusal is passed on as it is', () => {
  const banned = PermissionDeniedDetails.encode(
    PermissionDeniedDetails.fromPartial({ reason: PermissionDeniedDetails_Reason.AGENT_BANNED }),
  ).finish();
  const details = [{ type: 'spire.api.types.PermissionDeniedDetails', value: banned }];

  it.each([
    ['of evidence that may serve again', permissionDenied(said), again],
    ['of evidence that does not hold', invalidArgument('signature'), once],
    ['by a server that is away', unavailable('away'), once],
    ['of a banned agent, whom eviction would let in', permissionDenied('banned', { details }), once],
  ])('%s', async (_, error, attestor) => {
    expect(await refusedWith(error, attestor)).toBe(error);
  });
});

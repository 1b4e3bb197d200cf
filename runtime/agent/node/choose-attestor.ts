// Which evidence the node shows: a join token where one is given, else what the one configured attestor finds.
import { createAgentAttestor } from '../../attest/agent-attestors.ts';
import type { AgentAttestor } from '../../attest/attestor.ts';
import type { Logger } from '../../log.ts';
import type { AgentConfig } from '../config/agent-config.ts';
import { AgentStopped } from '../refusal.ts';

export async function chooseAttestor(
  { joinToken, nodeAttestor, trustDomain }: Pick<AgentConfig, 'joinToken' | 'nodeAttestor' | 'trustDomain'>,
  log: Logger,
): Promise<AgentAttestor> {
  if (joinToken !== undefined) return createAgentAttestor('join_token', {}, { trustDomain, log, joinToken });
  if (nodeAttestor === undefined) throw new Error('there is neither a node attestor nor a join token');
  if (nodeAttestor.name === 'join_token') return missingJoinToken;
  return createAgentAttestor(nodeAttestor.name, nodeAttestor.data, { trustDomain, log });
}

/** A token serves once: an agent that goes on with its SVID from disk is started without one. */
const missingJoinToken: AgentAttestor = {
  type: 'join_token',
  payload: () =>
    Promise.reject(new AgentStopped('ATTESTATION_REFUSED', 'join token attestation attempted but no token provided')),
  respond: () => Promise.reject(new Error('join_token has no challenge')),
};

// spire.api.server.agent.v1.Agent for administrators: list, show, evict, ban, and join tokens. Attestation and renewal have files of their own.
import { randomUUID } from 'node:crypto';
import type { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument, notFound, RpcError, statusCode } from '../../rpc/status.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { agentId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { joinTokenType } from '../attestation.ts';
import type { AgentStore, EntryStore, JoinTokenStore } from '../store/store.ts';
import { pageOf } from './page.ts';
import { attempt, checkArgument } from './refusal.ts';
import { encodeAgent, parseAgentFilter } from './wire/agent.ts';
import { parseAgentId, parseWorkloadId } from './wire/spiffe-id.ts';

export interface AgentServiceOptions {
  readonly trustDomain: TrustDomain;
  readonly store: AgentStore & JoinTokenStore & Pick<EntryStore, 'createEntry'>;
  readonly clock: () => number;
  readonly log: Logger;
}

export type AgentAdminMethods = Pick<
  Handlers<typeof AgentService>,
  'countAgents' | 'listAgents' | 'getAgent' | 'deleteAgent' | 'banAgent' | 'createJoinToken'
>;

export function createAgentService({ trustDomain, store, clock, log }: AgentServiceOptions): AgentAdminMethods {
  return {
    async countAgents({ filter }) {
      const parsed = parseAgentFilter(filter);
      return { count: await attempt('failed to count agents', () => store.countAgents(parsed)) };
    },

    async listAgents({ filter, outputMask, pageSize, pageToken }) {
      const parsed = parseAgentFilter(filter);
      const found = await attempt('failed to list agents', () => store.listAgents(parsed, pageOf(pageSize, pageToken)));
      return {
        agents: found.agents.map((agent) => encodeAgent(agent, outputMask)),
        nextPageToken: found.nextPageToken,
      };
    },

    async getAgent({ id, outputMask }) {
      const agent = checkArgument('invalid agent ID', () => parseAgentId(trustDomain, id));
      const found = await attempt('failed to fetch agent', () => store.fetchAgent(String(agent)));
      if (found === undefined) throw notFound('agent not found');
      return encodeAgent(found, outputMask);
    },

    async deleteAgent({ id }) {
      const agent = checkArgument('invalid agent ID', () => parseAgentId(trustDomain, id));
      const deleted = await attempt('failed to remove agent', () => store.deleteAgent(String(agent)));
      if (deleted === undefined) throw notFound('agent not found');
      log.info({ agent_id: String(agent) }, 'Agent deleted');
      return {};
    },

    async banAgent({ id }) {
      const agent = checkArgument('invalid agent ID', () => parseAgentId(trustDomain, id));
      await banAgent(agent);
      log.info({ agent_id: String(agent) }, 'Agent banned');
      return {};
    },

    async createJoinToken({ ttl, token, agentId: alias }) {
      if (ttl < 1) throw invalidArgument('ttl is required, you must provide one');
      const aliasId = alias && checkArgument('invalid agent ID', () => parseWorkloadId(trustDomain, alias));
      const value = token === '' ? randomUUID() : token;
      // Checked now: the token becomes a path segment of the agent's ID.
      const node = checkArgument('invalid token', () => agentId(trustDomain, joinTokenType, value));
      const expiresAt = Math.floor(clock() / 1000) + ttl;
      await attempt('failed to create token', () => store.createJoinToken({ token: value, expiresAt }));
      if (aliasId !== undefined) {
        await attempt('failed to create join token registration entry', () => createAlias(aliasId, node));
      }
      return { value, expiresAt };
    },
  };

  async function banAgent(agent: SpiffeId): Promise<void> {
    try {
      await attempt('failed to ban agent', () => store.banAgent(String(agent)));
    } catch (error) {
      if (error instanceof RpcError && error.code === statusCode.NOT_FOUND)
        throw notFound('agent not found', { cause: error });
      throw error;
    }
  }

  /** The token's owner gets a name that says more than its token. */
  async function createAlias(alias: SpiffeId, node: SpiffeId): Promise<void> {
    await store.createEntry({
      spiffeId: String(alias),
      parentId: String(node),
      selectors: [{ type: 'spiffe_id', value: String(node) }],
    });
  }
}

// Is this X509-SVID an agent's, and the one that the agent is to use now? The record decides, not the certificate: an evicted, banned or superseded
// agent still holds a certificate that verifies.
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../../proto/gen/spire/api/types/status.ts';
import type { Logger } from '../../log.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { serialDecimal } from '../../pki/certificate.ts';
import { RpcError, internal, permissionDenied } from '../../rpc/status.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { StoreError } from '../store/errors.ts';
import type { AgentRecord } from '../store/records.ts';
import type { AgentStore } from '../store/store.ts';

export interface AgentSvid {
  readonly id: SpiffeId;
  readonly leaf: Certificate;
}

/** Throws unless the SVID is that of an attested agent. */
export type AgentAuthorizer = (svid: AgentSvid) => Promise<void>;

export interface AgentAuthorizerOptions {
  readonly agents: Pick<AgentStore, 'fetchAgent' | 'promoteAgentSvid'>;
  readonly clock: () => number;
  /** What this server last knew of an agent: it counts while the database is away. */
  readonly lastKnown?: (spiffeId: string) => AgentRecord | undefined;
  /** Hears why an agent was refused; the agent itself is told the reason's number only. */
  readonly log?: Pick<Logger, 'error'>;
}

export function createAgentAuthorizer({ agents, clock, lastKnown, log }: AgentAuthorizerOptions): AgentAuthorizer {
  return async (svid) => {
    try {
      await authorize(svid);
    } catch (error) {
      log?.error({ caller_id: String(svid.id), err: error }, messageOf(error));
      throw error;
    }
  };

  /** An agent that this server knows is served while the database is away; whoever it does not know is not let in. */
  async function lookUp(id: string): Promise<{ agent: AgentRecord | undefined; isCurrent: boolean }> {
    const fetch = async () => {
      try {
        return { agent: await agents.fetchAgent(id), isCurrent: true };
      } catch (error) {
        const isAway = error instanceof StoreError && error.code === 'UNAVAILABLE';
        const agent = isAway ? lastKnown?.(id) : undefined;
        if (agent === undefined) throw error;
        return { agent, isCurrent: false };
      }
    };
    return orInternal('unable to look up agent information', fetch);
  }

  async function authorize({ id, leaf }: AgentSvid): Promise<void> {
    if (clock() > leaf.notAfter) throw refuseAgent(Reason.AGENT_EXPIRED, `agent "${String(id)}" SVID is expired`);
    const { agent, isCurrent } = await lookUp(String(id));
    if (agent === undefined) throw refuseAgent(Reason.AGENT_NOT_ATTESTED, `agent "${String(id)}" is not attested`);
    if (agent.banned) throw refuseAgent(Reason.AGENT_BANNED, `agent "${String(id)}" is banned`);
    const serial = serialDecimal(leaf);
    if (agent.x509SvidSerialNumber === serial) return;
    if (agent.newX509SvidSerialNumber === serial) {
      // Its next call after the database is back makes it so.
      if (!isCurrent) return;
      // The agent shows that it has the renewed SVID: from now on the old one is refused.
      const promote = () => agents.promoteAgentSvid(String(id), serial);
      const promoted = await orInternal('unable to activate the new agent SVID', promote);
      if (promoted?.x509SvidSerialNumber === serial) return;
      const now = await orInternal('unable to look up agent information', () => agents.fetchAgent(String(id)));
      if (now?.x509SvidSerialNumber === serial && !now.banned) return; // another call of the same agent was first
    }
    const expected = `expected to have serial number "${agent.x509SvidSerialNumber}"; has "${serial}"`;
    throw refuseAgent(Reason.AGENT_NOT_ACTIVE, `agent "${String(id)}" ${expected}`);
  }
}

/** What SPIRE logs. */
const messages: Readonly<Partial<Record<number, string>>> = {
  [Reason.AGENT_EXPIRED]: 'Agent SVID is expired',
  [Reason.AGENT_NOT_ATTESTED]: 'Agent is not attested',
  [Reason.AGENT_BANNED]: 'Agent is banned',
  [Reason.AGENT_NOT_ACTIVE]: 'Agent SVID is not active',
};

function messageOf(error: unknown): string {
  const [detail] = error instanceof RpcError ? error.details : [];
  const message = detail === undefined ? undefined : messages[PermissionDeniedDetails.decode(detail.value).reason];
  return message ?? 'Unable to look up agent information';
}

/** A refusal that tells an agent what to do next. */
export function refuseAgent(reason: Reason, message: string): RpcError {
  const value = PermissionDeniedDetails.encode({ reason }).finish();
  return permissionDenied(message, { details: [{ type: 'spire.api.types.PermissionDeniedDetails', value }] });
}

async function orInternal<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw internal(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

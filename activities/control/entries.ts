// Registration entries and agents on a server, as the workflows need them.
import type { Entry as WireEntry } from '../../proto/gen/spire/api/types/entry.ts';
import { Entry as EntryMessage } from '../../proto/gen/spire/api/types/entry.ts';
import { RpcError, statusCode } from '../../runtime/rpc/status.ts';
import { parseSelector } from '../../runtime/spiffe/selector.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { failure } from '../failures.ts';
import type { Entry } from '../inputs.ts';

const ok = 0;
const alreadyExists = 6;

/** Creates the entry unless one with the same parent, SPIFFE ID and selectors is there. Returns its id. */
export async function ensureEntry(server: SpireServer, entry: Entry): Promise<string> {
  const response = await server.entry.batchCreateEntry({ entries: [wireEntry(entry)], outputMask: undefined });
  const [result] = response.results;
  const code = result?.status?.code;
  if (result?.entry === undefined || (code !== ok && code !== alreadyExists)) {
    throw failure(
      'InvalidRequest',
      `entry for ${entry.spiffeId}: ${result?.status?.message ?? 'the server gave no answer'}`,
    );
  }
  return result.entry.id;
}

/** Content when the agent has attested, is not banned and holds an SVID that has not expired. */
export async function checkAgent(server: SpireServer, agentId: string, now: number): Promise<void> {
  const { expiresAt } = await findAgent(server, agentId);
  if (expiresAt <= now) throw failure('NotReady', `agent ${agentId} holds an expired SVID`);
}

/** Evicts the agent where its SVID has expired; nothing to do where it holds a good one, or never attested. */
export async function readmitAgent(server: SpireServer, agentId: string, now: number): Promise<boolean> {
  try {
    const { expiresAt } = await findAgent(server, agentId);
    if (expiresAt > now) return false;
    await server.agent.deleteAgent({ id: wireId(agentId) });
    return true;
  } catch (cause) {
    if (cause instanceof RpcError && cause.code === statusCode.NOT_FOUND) return false;
    throw cause;
  }
}

/** `expiresAt` in epoch milliseconds; a banned agent is for a person to judge. */
async function findAgent(server: SpireServer, agentId: string): Promise<{ readonly expiresAt: number }> {
  const agent = await server.agent.getAgent({ id: wireId(agentId), outputMask: undefined });
  if (agent.banned) throw failure('AttestationRejected', `agent ${agentId} is banned`);
  return { expiresAt: agent.x509svidExpiresAt * 1000 };
}

function wireEntry({ spiffeId, parentId, selectors, downstream }: Entry): WireEntry {
  return EntryMessage.create({
    spiffeId: wireId(spiffeId),
    parentId: wireId(parentId),
    selectors: selectors.map(parseSelector),
    downstream: downstream ?? false,
  });
}

export function wireId(text: string): { trustDomain: string; path: string } {
  const id = parseSpiffeId(text);
  return { trustDomain: id.trustDomain.name, path: id.path };
}

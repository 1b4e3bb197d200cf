// Registration entries and agents on a server, as the workflows need them.
import type { Entry as WireEntry } from '../../proto/gen/spire/api/types/entry.ts';
import { Entry as EntryMessage } from '../../proto/gen/spire/api/types/entry.ts';
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
  const id = parseSpiffeId(agentId);
  const agent = await server.agent.getAgent({
    id: { trustDomain: id.trustDomain.name, path: id.path },
    outputMask: undefined,
  });
  if (agent.banned) throw failure('AttestationRejected', `agent ${agentId} is banned`);
  if (agent.x509svidExpiresAt * 1000 <= now) throw failure('NotReady', `agent ${agentId} holds an expired SVID`);
}

function wireEntry({ spiffeId, parentId, selectors, downstream }: Entry): WireEntry {
  return EntryMessage.create({
    spiffeId: wireId(spiffeId),
    parentId: wireId(parentId),
    selectors: selectors.map(parseSelector),
    downstream: downstream ?? false,
  });
}

function wireId(text: string): { trustDomain: string; path: string } {
  const id = parseSpiffeId(text);
  return { trustDomain: id.trustDomain.name, path: id.path };
}

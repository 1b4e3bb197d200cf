// Registration entries and agents on a server, as the workflows need them.
import { randomUUID } from 'node:crypto';
import { ListAgentsRequest_Filter } from '../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { Agent as WireAgent } from '../../proto/gen/spire/api/types/agent.ts';
import { ListEntriesRequest_Filter } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { Entry as WireEntry } from '../../proto/gen/spire/api/types/entry.ts';
import { Entry as EntryMessage } from '../../proto/gen/spire/api/types/entry.ts';
import { RpcError, statusCode } from '../../runtime/rpc/status.ts';
import { parseSelector } from '../../runtime/spiffe/selector.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { eachPage } from '../clients/pages.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import type { ClusterNode } from '../clusters/cluster.ts';
import { failure } from '../failures.ts';
import type { Entry } from '../inputs.ts';
import type { FoundEntry, ParentedEntry } from '../update/update.ts';

/** By the ids of its entries the control plane knows them from those that somebody else made. */
const ownIdPrefix = 'espalier.';
const pageSize = 500;
/** Of many agents this many are named. */
const mostNamed = 10;
const ok = 0;
const alreadyExists = 6;
const notFound = 5;

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

/**
 * Evicts the agent where its SVID has expired; nothing to do where it holds a good one, or never attested. Asked again, one that is not there was evicted by
 * the attempt whose answer was lost.
 */
export async function readmitAgent(
  server: SpireServer,
  agentId: string,
  { now, isAgain }: { readonly now: number; readonly isAgain: boolean },
): Promise<boolean> {
  try {
    const { expiresAt } = await findAgent(server, agentId);
    if (expiresAt > now) return false;
    await server.agent.deleteAgent({ id: wireId(agentId) });
    return true;
  } catch (cause) {
    if (cause instanceof RpcError && cause.code === statusCode.NOT_FOUND) return isAgain;
    throw cause;
  }
}

/** Content when all of them have attested by that method and hold SVIDs that have not expired; otherwise names who has not. */
export async function checkAgents(
  { agent }: Pick<SpireServer, 'agent'>,
  { method, agents }: { readonly method: string; readonly agents: readonly ClusterNode[] },
  now: number,
): Promise<void> {
  const known = new Map<string, WireAgent>();
  const filter = ListAgentsRequest_Filter.create({ byAttestationType: method });
  const ask = (pageToken: string) => agent.listAgents({ filter, outputMask: undefined, pageSize, pageToken });
  for await (const page of eachPage(ask)) for (const one of page.agents) known.set(textOf(one.id), one);
  const banned = agents.filter(({ agentId }) => known.get(agentId)?.banned === true).map(({ name }) => name);
  if (banned.length > 0) throw failure('AttestationRejected', `agents of ${banned.join(', ')} are banned`);
  const missing = agents.filter(({ agentId }) => (known.get(agentId)?.x509svidExpiresAt ?? 0) * 1000 <= now);
  if (missing.length === 0) return;
  const names = missing.slice(0, mostNamed).map(({ name, agentId }) => `${name} (${agentId})`);
  const more = missing.length > mostNamed ? ` and ${missing.length - mostNamed} more` : '';
  throw failure(
    'NotReady',
    `${missing.length} of ${agents.length} agents hold no SVID by ${method}: ${names.join(', ')}${more}`,
  );
}

/** `expiresAt` in epoch milliseconds; a banned agent is for a person to judge. */
async function findAgent(server: SpireServer, agentId: string): Promise<{ readonly expiresAt: number }> {
  const agent = await server.agent.getAgent({ id: wireId(agentId), outputMask: undefined });
  if (agent.banned) throw failure('AttestationRejected', `agent ${agentId} is banned`);
  return { expiresAt: agent.x509svidExpiresAt * 1000 };
}

function wireEntry({ spiffeId, parentId, selectors, downstream }: Entry): WireEntry {
  return EntryMessage.create({
    id: `${ownIdPrefix}${randomUUID()}`,
    spiffeId: wireId(spiffeId),
    parentId: wireId(parentId),
    selectors: selectors.map(parseSelector),
    downstream: downstream ?? false,
  });
}

/** Entries below a parent, by what they say. */
export async function listEntriesBelow(server: Pick<SpireServer, 'entry'>, parentId: string): Promise<FoundEntry[]> {
  return (await listAll(server, { byParentId: wireId(parentId) })).map(foundOf);
}

/** Entries of one identity, whatever their parents. */
export async function listEntriesOf(server: Pick<SpireServer, 'entry'>, spiffeId: string): Promise<ParentedEntry[]> {
  const entries = await listAll(server, { bySpiffeId: wireId(spiffeId) });
  return entries.map((entry) => ({ ...foundOf(entry), parentId: textOf(entry.parentId) }));
}

/** Of servers below this one, whatever their parents. */
export async function listDownstreamEntries(server: Pick<SpireServer, 'entry'>): Promise<ParentedEntry[]> {
  const entries = (await listAll(server, { byDownstream: true })).filter(({ downstream }) => downstream);
  return entries.map((entry) => ({ ...foundOf(entry), parentId: textOf(entry.parentId) }));
}

async function listAll(
  { entry }: Pick<SpireServer, 'entry'>,
  by: Partial<ListEntriesRequest_Filter>,
): Promise<WireEntry[]> {
  const found: WireEntry[] = [];
  const filter = ListEntriesRequest_Filter.create(by);
  const ask = (pageToken: string) => entry.listEntries({ filter, outputMask: undefined, pageSize, pageToken });
  for await (const { entries } of eachPage(ask)) found.push(...entries);
  return found;
}

/** Content with those that are gone already. */
export async function deleteEntries({ entry }: Pick<SpireServer, 'entry'>, ids: readonly string[]): Promise<void> {
  const { results } = await entry.batchDeleteEntry({ ids: [...ids] });
  for (const { id, status } of results) {
    const { code = 0, message = '' } = status ?? {};
    if (code !== ok && code !== notFound) throw failure('Unavailable', `entry ${id}: ${message}`);
  }
}

function foundOf({ id, spiffeId, selectors }: WireEntry): FoundEntry {
  return {
    id,
    spiffeId: textOf(spiffeId),
    selectors: selectors.map(({ type, value }) => `${type}:${value}`),
    isOurs: id.startsWith(ownIdPrefix),
  };
}

function textOf(id: WireEntry['spiffeId']): string {
  return `spiffe://${id?.trustDomain ?? ''}${id?.path ?? ''}`;
}

export function wireId(text: string): { trustDomain: string; path: string } {
  const id = parseSpiffeId(text);
  return { trustDomain: id.trustDomain.name, path: id.path };
}

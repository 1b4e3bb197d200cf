// A server's entries and relationships in memory, with the rules that registration relies on: ids are unique, two entries with one key do not stand side by
// side, and what is not there cannot be changed. Calls are counted; a test may have it refuse entries or fail whole calls.
import { keyed } from '../../activities/registration/entries/wanted-entry.ts';
import type { CurrentEntry, EntryAttributes } from '../../activities/registration/entries/wanted-entry.ts';
import type { Relationship } from '../../activities/registration/federation/relationship.ts';
import type { ItemOutcome, RegistrationServer } from '../../activities/registration/reconcile/ports.ts';

export interface FakeRegistrationServer extends RegistrationServer {
  readonly entries: Map<string, CurrentEntry>;
  readonly relationships: Map<string, Relationship>;
  /** Names of calls, in order. */
  readonly calls: string[];
  /** Entries whose SPIFFE ID is here are refused. */
  readonly refused: Set<string>;
  /** While true, every call throws. */
  isAway: boolean;
  put(id: string, entry: EntryAttributes): void;
}

const ok: ItemOutcome = { code: 'ok', message: '' };

export function createFakeRegistrationServer(): FakeRegistrationServer {
  const entries = new Map<string, CurrentEntry>();
  const relationships = new Map<string, Relationship>();
  const begin = (name: string): void => {
    server.calls.push(name);
    if (server.isAway) throw new Error('the server is away');
  };
  const create = (entry: EntryAttributes & { readonly id: string }): ItemOutcome => {
    if (server.refused.has(entry.spiffeId)) return { code: 'failed', message: 'not this one' };
    const made = { id: entry.id, ...keyed(entry) };
    const similar = [...entries.values()].some(({ key }) => key === made.key);
    if (similar || entries.has(made.id)) return { code: 'already exists', message: 'similar entry already exists' };
    entries.set(made.id, made);
    return ok;
  };
  const server: FakeRegistrationServer = {
    entries,
    relationships,
    calls: [],
    refused: new Set(),
    isAway: false,
    put: (id, entry) => void entries.set(id, { id, ...keyed(entry) }),
    async listEntries() {
      begin('listEntries');
      return [...entries.values()];
    },
    async createEntries(list) {
      begin('createEntries');
      return list.map(create);
    },
    async updateEntries(list) {
      begin('updateEntries');
      return list.map((entry) => {
        if (server.refused.has(entry.spiffeId)) return { code: 'failed', message: 'not this one' };
        if (!entries.has(entry.id)) return { code: 'not found', message: 'no such entry' };
        entries.set(entry.id, { id: entry.id, ...keyed(entry) });
        return ok;
      });
    },
    async deleteEntries(ids) {
      begin('deleteEntries');
      return ids.map((id) => (entries.delete(id) ? ok : { code: 'not found', message: 'no such entry' }));
    },
    async listRelationships() {
      begin('listRelationships');
      return [...relationships.values()];
    },
    async createRelationships(list) {
      begin('createRelationships');
      return list.map((one) => {
        if (relationships.has(one.trustDomain)) return { code: 'already exists', message: 'it is there' };
        relationships.set(one.trustDomain, one);
        return ok;
      });
    },
    async updateRelationships(list) {
      begin('updateRelationships');
      return list.map((one) => {
        if (!relationships.has(one.trustDomain)) return { code: 'not found', message: 'it is not there' };
        relationships.set(one.trustDomain, one);
        return ok;
      });
    },
    async deleteRelationships(names) {
      begin('deleteRelationships');
      return names.map((name) => (relationships.delete(name) ? ok : { code: 'not found', message: 'it is not there' }));
    },
  };
  return server;
}

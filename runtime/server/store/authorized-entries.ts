// Which entries an agent may serve, answered from memory: placeholder of the interface.
import type { AgentRecord, EntryRecord } from './records.ts';

export interface AuthorizedEntries {
  /** In order of id; empty for an agent nobody knows. The array is shared: do not change it. */
  authorizedEntries(agentId: string): readonly EntryRecord[];
  /** The entry, if this agent may serve it. */
  authorizedEntry(agentId: string, entryId: string): EntryRecord | undefined;
  /** Has any entry for this SPIFFE ID the admin flag? */
  isAdmin(spiffeId: string): boolean;
  isDownstream(spiffeId: string): boolean;
  agent(spiffeId: string): AgentRecord | undefined;
  /** Called after entries or agents changed. Returns the way to stop. */
  onChange(listener: () => void): () => void;
  close(): void;
}

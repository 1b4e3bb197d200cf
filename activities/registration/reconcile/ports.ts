// What a round of registration needs of the world: the server that has the entries, and the clusters whose objects ask for them.
import type { RenderedResource } from '../custom-resources/render-cluster.ts';
import type { WantedStatus } from '../custom-resources/statuses.ts';
import type { CurrentEntry, DeclaredEntry, EntryAttributes, RegistrationFault } from '../entries/wanted-entry.ts';
import type { DeclaredRelationship, RelationshipRecord } from '../federation/plan-relationships.ts';
import type { Relationship } from '../federation/relationship.ts';

/** Of one item of a batch; `ok`, or what the server said. */
export interface ItemOutcome {
  readonly code: 'ok' | 'already exists' | 'not found' | 'failed';
  readonly message: string;
}

/** Throws where a whole call fails; what fails of one item is in its outcome, at its place. */
export interface RegistrationServer {
  listEntries(): Promise<CurrentEntry[]>;
  createEntries(entries: readonly (EntryAttributes & { readonly id: string })[]): Promise<ItemOutcome[]>;
  updateEntries(entries: readonly (EntryAttributes & { readonly id: string })[]): Promise<ItemOutcome[]>;
  deleteEntries(ids: readonly string[]): Promise<ItemOutcome[]>;
  listRelationships(): Promise<Relationship[]>;
  createRelationships(relationships: readonly Relationship[]): Promise<ItemOutcome[]>;
  updateRelationships(relationships: readonly Relationship[]): Promise<ItemOutcome[]>;
  deleteRelationships(trustDomains: readonly string[]): Promise<ItemOutcome[]>;
}

export interface ClusterView {
  readonly declared: readonly DeclaredEntry[];
  readonly relationships: readonly DeclaredRelationship[];
  readonly resources: readonly RenderedResource[];
  readonly faults: readonly RegistrationFault[];
}

export interface ClusterSource {
  readonly name: string;
  /** Whether it has custom resources, which may federate. */
  readonly federates: boolean;
  /** Undefined until all of its objects are known. */
  view(): ClusterView | undefined;
  writeStatuses(statuses: readonly WantedStatus[]): Promise<void>;
}

/** Which relationships were made here. */
export interface RelationshipLedger {
  read(): Promise<RelationshipRecord>;
  write(record: RelationshipRecord): Promise<void>;
}

export type Say = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

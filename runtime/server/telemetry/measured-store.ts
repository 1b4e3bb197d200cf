// The store with its calls counted under SPIRE's names. What the table does not name is not counted.
import { statusCode } from '../../rpc/status.ts';
import { createCallCounter, rpcCodeOf } from '../../telemetry/call-counter.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import { StoreError } from '../store/errors.ts';
import type { StoreErrorCode } from '../store/errors.ts';
import type { Store } from '../store/store.ts';

/** Method to the key behind `datastore`. */
const keys: Readonly<Partial<Record<keyof Store, string>>> = {
  createEntry: 'registration_entry create',
  createEntries: 'registration_entry create',
  updateEntry: 'registration_entry update',
  updateEntries: 'registration_entry update',
  deleteEntry: 'registration_entry delete',
  deleteEntries: 'registration_entry delete',
  fetchEntry: 'registration_entry fetch',
  fetchEntries: 'registration_entry fetch',
  listEntries: 'registration_entry list',
  countEntries: 'registration_entry count',
  pruneEntries: 'registration_entry prune',
  saveAgent: 'node create',
  fetchAgent: 'node fetch',
  fetchAgents: 'node fetch',
  listAgents: 'node list',
  countAgents: 'node count',
  updateAgent: 'node update',
  promoteAgentSvid: 'node update',
  banAgent: 'node update',
  deleteAgent: 'node delete',
  pruneAgents: 'node prune',
  createJoinToken: 'join_token create',
  fetchJoinToken: 'join_token fetch',
  takeJoinToken: 'join_token delete',
  pruneJoinTokens: 'join_token prune',
  fetchBundle: 'bundle fetch',
  setBundle: 'bundle set',
  createBundle: 'bundle create',
  appendBundle: 'bundle append',
  changeBundle: 'bundle update',
  listBundles: 'bundle list',
  countBundles: 'bundle count',
  deleteBundle: 'bundle delete',
  pruneBundle: 'bundle prune',
  taintX509Authority: 'bundle x509 taint',
  revokeX509Authority: 'bundle x509 revoke',
  taintJwtAuthority: 'bundle jwt taint',
  revokeJwtAuthority: 'bundle jwt revoke',
  saveFetchedBundle: 'bundle set',
  createFederationRelationship: 'federation_relationship create',
  updateFederationRelationship: 'federation_relationship update',
  fetchFederationRelationship: 'federation_relationship fetch',
  listFederationRelationships: 'federation_relationship list',
  allFederationRelationships: 'federation_relationship list',
  deleteFederationRelationship: 'federation_relationship delete',
  fetchCaJournal: 'ca_journal fetch',
  saveCaJournal: 'ca_journal set',
  pruneCaJournals: 'ca_journal prune',
};

type Method = (...args: unknown[]) => Promise<unknown>;

/** Besides, what the database could not do is counted by itself: refusals are not among it. */
export function measureStore(store: Store, metrics: Metrics): Store {
  const errors = metrics.counter(['datastore', 'errors', 'total']);
  const codeOf = (error: unknown): number => {
    const code = codeOfStoreError(error);
    if (failures.has(code)) errors.add();
    return code;
  };
  const measured = Object.entries(keys).map(([name, key]) => {
    const calls = createCallCounter(metrics, ['datastore', ...key.split(' ')], {}, codeOf);
    const { [name as keyof Store]: method } = store as unknown as Record<keyof Store, Method>;
    return [name, (...args: unknown[]) => calls.measure(() => method(...args))];
  });
  return { ...store, ...(Object.fromEntries(measured) as Partial<Store>) };
}

const failures: ReadonlySet<number> = new Set([statusCode.UNAVAILABLE, statusCode.INTERNAL, statusCode.UNKNOWN]);

const codes: Readonly<Record<StoreErrorCode, number>> = {
  INVALID: statusCode.INVALID_ARGUMENT,
  NOT_FOUND: statusCode.NOT_FOUND,
  CONFLICT: statusCode.ALREADY_EXISTS,
  LIMIT: statusCode.RESOURCE_EXHAUSTED,
  UNKNOWN_FEDERATED_BUNDLE: statusCode.INVALID_ARGUMENT,
  BUNDLE_IN_USE: statusCode.FAILED_PRECONDITION,
  AGENT_BANNED: statusCode.PERMISSION_DENIED,
  LAST_AUTHORITY: statusCode.FAILED_PRECONDITION,
  ALREADY_TAINTED: statusCode.FAILED_PRECONDITION,
  NOT_TAINTED: statusCode.FAILED_PRECONDITION,
  SCHEMA_NEWER: statusCode.FAILED_PRECONDITION,
  SCHEMA_OLDER: statusCode.FAILED_PRECONDITION,
  FOREIGN_SCHEMA: statusCode.FAILED_PRECONDITION,
  UNAVAILABLE: statusCode.UNAVAILABLE,
  INTERNAL: statusCode.INTERNAL,
};

function codeOfStoreError(error: unknown): number {
  return error instanceof StoreError ? codes[error.code] : rpcCodeOf(error);
}

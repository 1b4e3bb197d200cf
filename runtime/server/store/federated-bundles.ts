// The bundles that entries name: an entry is written only while they are there, and they stay until it is.
import type { Query } from './database.ts';
import { StoreError } from './errors.ts';

/** Those of the bundles that are there; they stay until this transaction ends: deleting one waits for it. */
export async function lockFederatedBundles(query: Query, trustDomains: readonly string[]): Promise<Set<string>> {
  if (trustDomains.length === 0) return new Set();
  const statement = 'SELECT trust_domain FROM bundles WHERE trust_domain = ANY($1::text[]) ORDER BY 1 FOR KEY SHARE';
  return new Set((await query<{ trust_domain: string }>(statement, [trustDomains])).map((row) => row.trust_domain));
}

export function checkBundles(trustDomains: readonly string[], present: ReadonlySet<string>): void {
  const missing = trustDomains.find((name) => !present.has(name));
  if (missing === undefined) return;
  throw new StoreError('UNKNOWN_FEDERATED_BUNDLE', `unable to find federated bundle ${JSON.stringify(missing)}`);
}

// Trust bundles in PostgreSQL: our own and those that we federate with. Every change of authorities is one transaction and one sequence number.
import { bundlesEqual, emptyBundle, mergeBundles } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import {
  findJwtAuthority,
  withTaintedJwtAuthority,
  withTaintedX509Authority,
  withoutExpired,
  withoutJwtAuthority,
  withoutUnusedJwtAuthority,
  withoutUnusedX509Authority,
  withoutX509Authority,
} from './bundle-changes.ts';
import { bundleOfRow, bundleValues } from './bundle-row.ts';
import type { BundleRow } from './bundle-row.ts';
import { Conditions, cutPage, sliceOf } from './conditions.ts';
import type { Database, Query } from './database.ts';
import { StoreError } from './errors.ts';
import { noteRevoked, pruneRevoked, readRevoked, revokedJwt, revokedX509, withoutRevoked } from './revoked.ts';
import type { BundleDeleteMode, BundleStore } from './store.ts';

const columns = 'trust_domain, sequence_number, refresh_hint_seconds, authorities';
const insertBundle = `INSERT INTO bundles (${columns}) VALUES ($1, $2, $3, $4)`;
const replaceBundle = `UPDATE bundles SET (${columns}) = ($1, $2, $3, $4) WHERE trust_domain = $1`;
const lockBundle = 'SELECT * FROM bundles WHERE trust_domain = $1 FOR UPDATE';

export function createBundleStore(database: Database): BundleStore {
  /** The changed bundle, one sequence number on; the bundle as it was when the change is none. */
  const change = (
    trustDomain: string,
    act: (bundle: TrustBundle, query: Query) => TrustBundle | Promise<TrustBundle>,
  ): Promise<TrustBundle> =>
    database.transaction(async (query) => {
      const [row] = await query<BundleRow>(lockBundle, [trustDomain]);
      if (row === undefined)
        throw new StoreError('NOT_FOUND', `no bundle for trust domain ${JSON.stringify(trustDomain)}`);
      const current = bundleOfRow(row);
      const changed = await act(current, query);
      if (bundlesEqual(current, changed)) return current;
      const next = { ...changed, sequenceNumber: current.sequenceNumber + 1 };
      await query(replaceBundle, bundleValues(next));
      return next;
    });

  return {
    async fetchBundle(trustDomain) {
      const [row] = await database.query<BundleRow>('SELECT * FROM bundles WHERE trust_domain = $1', [trustDomain]);
      return row === undefined ? undefined : bundleOfRow(row);
    },
    async setBundle(bundle) {
      const update = 'ON CONFLICT (trust_domain) DO UPDATE SET';
      await database.query(`${insertBundle} ${update} (${columns}) = ($1, $2, $3, $4)`, bundleValues(bundle));
      return bundle;
    },
    async createBundle(bundle) {
      await database.query(insertBundle, bundleValues(bundle));
      return bundle;
    },
    async appendBundle(added) {
      const empty = emptyBundle(added.trustDomain);
      const first = { ...empty, refreshHintSeconds: added.refreshHintSeconds };
      await database.query(`${insertBundle} ON CONFLICT (trust_domain) DO NOTHING`, bundleValues(first));
      return change(added.trustDomain.name, async (bundle, query) => {
        const isRevoked = await readRevoked(query, bundle.trustDomain.name);
        return mergeBundles(bundle, withoutRevoked(added, isRevoked)).bundle;
      });
    },
    changeBundle: change,
    async listBundles(page) {
      const conditions = new Conditions();
      const slice = sliceOf(page, conditions);
      const statement = `SELECT * FROM bundles${conditions.where()}${slice.tail}`;
      const { rows, nextPageToken } = cutPage(await database.query<BundleRow>(statement, conditions.values), slice);
      return { bundles: rows.map(bundleOfRow), nextPageToken };
    },
    async countBundles() {
      const [row] = await database.query<{ count: number }>('SELECT count(*) AS count FROM bundles');
      return row?.count ?? 0;
    },
    deleteBundle(trustDomain, mode) {
      return database.transaction(async (query) => {
        const [row] = await query(lockBundle, [trustDomain]);
        if (row === undefined) return false;
        await releaseEntries(query, trustDomain, mode);
        await query('DELETE FROM bundles WHERE trust_domain = $1', [trustDomain]);
        return true;
      });
    },
    async pruneBundle(trustDomain, expiredBefore) {
      let before = 0;
      const pruned = await change(trustDomain, (bundle) => {
        before = bundle.sequenceNumber;
        return withoutExpired(bundle, expiredBefore);
      });
      return pruned.sequenceNumber !== before;
    },
    pruneRevokedAuthorities: (trustDomain, expiredBefore) => pruneRevoked(database.query, trustDomain, expiredBefore),
    taintX509Authority: (trustDomain, subjectKeyId) =>
      change(trustDomain, (bundle) => withTaintedX509Authority(bundle, subjectKeyId)),
    revokeX509Authority: (trustDomain, subjectKeyId) =>
      change(trustDomain, async (bundle, query) => {
        const changed = withoutX509Authority(bundle, subjectKeyId);
        await noteRevoked(query, trustDomain, revokedX509(bundle, subjectKeyId));
        return changed;
      }),
    async withdrawX509Authority(trustDomain, subjectKeyId) {
      await change(trustDomain, async (bundle, query) => {
        const changed = withoutUnusedX509Authority(bundle, subjectKeyId);
        await noteRevoked(query, trustDomain, revokedX509(bundle, subjectKeyId));
        return changed;
      });
    },
    async withdrawJwtAuthority(trustDomain, keyId) {
      await change(trustDomain, async (bundle, query) => {
        const changed = withoutUnusedJwtAuthority(bundle, keyId);
        await noteRevoked(query, trustDomain, revokedJwt(bundle, keyId));
        return changed;
      });
    },
    async taintJwtAuthority(trustDomain, keyId) {
      const bundle = await change(trustDomain, (current) => withTaintedJwtAuthority(current, keyId));
      return findJwtAuthority(bundle, keyId);
    },
    async revokeJwtAuthority(trustDomain, keyId) {
      let revoked: TrustBundle | undefined;
      const bundle = await change(trustDomain, async (current, query) => {
        const changed = withoutJwtAuthority((revoked = current), keyId);
        await noteRevoked(query, trustDomain, revokedJwt(current, keyId));
        return changed;
      });
      return findJwtAuthority(revoked ?? bundle, keyId);
    },
  };
}

/** The bundle's row is locked, so no entry can begin to use it now. */
async function releaseEntries(query: Query, trustDomain: string, mode: BundleDeleteMode): Promise<void> {
  const using = 'WHERE federates_with @> ARRAY[$1]::text[]';
  if (mode === 'delete') {
    await query(`DELETE FROM entries ${using}`, [trustDomain]);
    return;
  }
  if (mode === 'dissociate') {
    await query(
      `UPDATE entries SET federates_with = array_remove(federates_with, $1), revision_number = revision_number + 1 ${using}`,
      [trustDomain],
    );
    return;
  }
  const [found] = await query<{ count: number }>(`SELECT count(*)::int AS count FROM entries ${using}`, [trustDomain]);
  if (found === undefined || found.count === 0) return;
  throw new StoreError(
    'BUNDLE_IN_USE',
    `datastore-sql: cannot delete bundle; federated with ${found.count} registration entries`,
  );
}

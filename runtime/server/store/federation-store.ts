// Federation relationships in PostgreSQL: where the bundles of other trust domains are fetched from, and the one write that keeps what was fetched.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { bundleOfRow, bundleValues } from './bundle-row.ts';
import type { BundleRow } from './bundle-row.ts';
import { Conditions, cutPage, sliceOf } from './conditions.ts';
import type { Database, Query } from './database.ts';
import { StoreError } from './errors.ts';
import type { FederationRelationshipRecord, FederationRelationshipWithBundle } from './records.ts';
import type { FederationStore } from './store.ts';

interface RelationshipRow {
  readonly seq: number;
  readonly trust_domain: string;
  readonly bundle_endpoint_url: string;
  readonly bundle_endpoint_profile: FederationRelationshipRecord['bundleEndpointProfile'];
  readonly endpoint_spiffe_id: string;
}

/** Of a bundle that is not there, the columns are null. */
type JoinedRow = RelationshipRow & (BundleRow | { readonly authorities: null });

const columns = 'trust_domain, bundle_endpoint_url, bundle_endpoint_profile, endpoint_spiffe_id';
const insert = `INSERT INTO federation_relationships (${columns}) VALUES ($1, $2, $3, $4)`;
const replace = `UPDATE federation_relationships SET (${columns}) = ($1, $2, $3, $4) WHERE trust_domain = $1`;
const joined = `SELECT * FROM (
  SELECT f.seq, ${columns}, sequence_number, refresh_hint_seconds, authorities
  FROM federation_relationships f LEFT JOIN bundles b USING (trust_domain)) relationships`;

const bundleColumns = 'trust_domain, sequence_number, refresh_hint_seconds, authorities';
const insertBundle = `INSERT INTO bundles (${bundleColumns}) VALUES ($1, $2, $3, $4)`;
const upsertBundle = `${insertBundle} ON CONFLICT (trust_domain) DO UPDATE SET (${bundleColumns}) = ($1, $2, $3, $4)`;

export function createFederationStore(database: Database): FederationStore {
  return {
    createFederationRelationship(relationship, bundle) {
      return database.transaction(async (query) => {
        await query(insert, relationshipValues(relationship));
        if (bundle !== undefined) await query(upsertBundle, bundleValues(bundle));
        return fetchRelationship(query, relationship.trustDomain);
      });
    },
    updateFederationRelationship(trustDomain, patch, bundle) {
      return database.transaction(async (query) => {
        const lock = 'SELECT * FROM federation_relationships WHERE trust_domain = $1 FOR UPDATE';
        const [row] = await query<RelationshipRow>(lock, [trustDomain]);
        if (row === undefined) throw noRelationship(trustDomain);
        await query(replace, relationshipValues({ ...relationshipOfRow(row), ...patch }));
        if (bundle !== undefined) await query(upsertBundle, bundleValues(bundle));
        return fetchRelationship(query, trustDomain);
      });
    },
    async fetchFederationRelationship(trustDomain) {
      const [row] = await database.query<JoinedRow>(`${joined} WHERE trust_domain = $1`, [trustDomain]);
      return row === undefined ? undefined : relationshipOfJoinedRow(row);
    },
    async listFederationRelationships(page) {
      const conditions = new Conditions();
      const slice = sliceOf(page, conditions);
      const statement = `${joined}${conditions.where()}${slice.tail}`;
      const { rows, nextPageToken } = cutPage(await database.query<JoinedRow>(statement, conditions.values), slice);
      return { relationships: rows.map(relationshipOfJoinedRow), nextPageToken };
    },
    async allFederationRelationships() {
      const rows = await database.query<RelationshipRow>('SELECT * FROM federation_relationships ORDER BY seq');
      return rows.map(relationshipOfRow);
    },
    async deleteFederationRelationship(trustDomain) {
      const statement = 'DELETE FROM federation_relationships WHERE trust_domain = $1 RETURNING seq';
      return (await database.query(statement, [trustDomain])).length > 0;
    },
    async saveFetchedBundle(bundle) {
      const unlessNewer = 'WHERE bundles.sequence_number <= $2 OR $2 = 0 RETURNING seq';
      return (await database.query(`${upsertBundle} ${unlessNewer}`, bundleValues(bundle))).length > 0;
    },
  };
}

async function fetchRelationship(query: Query, trustDomain: string): Promise<FederationRelationshipWithBundle> {
  const [row] = await query<JoinedRow>(`${joined} WHERE trust_domain = $1`, [trustDomain]);
  if (row === undefined) throw noRelationship(trustDomain);
  return relationshipOfJoinedRow(row);
}

function noRelationship(trustDomain: string): StoreError {
  return new StoreError('NOT_FOUND', `no federation relationship with ${JSON.stringify(trustDomain)}`);
}

function relationshipValues(relationship: FederationRelationshipRecord): unknown[] {
  const { trustDomain, bundleEndpointUrl, bundleEndpointProfile, endpointSpiffeId } = relationship;
  return [trustDomain, bundleEndpointUrl, bundleEndpointProfile, endpointSpiffeId];
}

function relationshipOfRow(row: RelationshipRow): FederationRelationshipRecord {
  return {
    trustDomain: row.trust_domain,
    bundleEndpointUrl: row.bundle_endpoint_url,
    bundleEndpointProfile: row.bundle_endpoint_profile,
    endpointSpiffeId: row.endpoint_spiffe_id,
  };
}

function relationshipOfJoinedRow(row: JoinedRow): FederationRelationshipWithBundle {
  if (row.authorities === null) return relationshipOfRow(row);
  const bundle: TrustBundle = bundleOfRow(row);
  return { ...relationshipOfRow(row), bundle };
}

// Templates of services and the identities that were given by them, in PostgreSQL. An identity is an ordinary entry with a row beside it, which goes
// with the entry; the entry goes with the template, the template with the service's entry, all in one transaction.
import { randomUUID } from 'node:crypto';
import type { DerivedEntry } from '../service/derive-entry.ts';
import type { Distinguisher, ServiceTemplate } from '../service/template.ts';
import type { SubjectKind } from '../../spiffe/service-id.ts';
import { Conditions, cutPage, sliceOf } from './conditions.ts';
import type { Database, Query } from './database.ts';
import { insertChunk } from './entry-insert.ts';
import { StoreError } from './errors.ts';
import { decodeSelectors, encodeSelectors } from './selector-text.ts';
import type { EntryRecord } from './records.ts';
import type { ServiceIdentity, ServiceStore } from './store.ts';

interface TemplateRow {
  readonly seq: number;
  readonly spiffe_id: string;
  readonly entry_id: string;
  readonly kinds: SubjectKind[];
  readonly selectors: string[];
  readonly distinguished_by: Distinguisher;
  readonly x509_svid_ttl: number;
  readonly jwt_svid_ttl: number;
  readonly lease_seconds: number;
  readonly most_identities: number;
}

const templates = `(SELECT entries.seq, entries.spiffe_id, service_templates.*
  FROM service_templates JOIN entries ON entries.id = service_templates.entry_id) AS templates`;
const identities = `(SELECT entries.seq, entries.spiffe_id AS "spiffeId", entries.expires_at AS "expiresAt",
    service_identities.entry_id AS "entryId", template_id AS "templateId", agent_id AS "agentId", distinguisher
  FROM service_identities JOIN entries ON entries.id = service_identities.entry_id) AS identities`;
// The entry is locked, so that it neither goes nor changes its ID meanwhile.
const saveTemplate = `
  WITH held AS (SELECT id FROM entries WHERE id = $1 FOR SHARE)
  INSERT INTO service_templates
    (entry_id, kinds, selectors, distinguished_by, x509_svid_ttl, jwt_svid_ttl, lease_seconds, most_identities)
  SELECT id, $2::text[], $3::text[], $4, $5, $6, $7, $8 FROM held
  ON CONFLICT (entry_id) DO UPDATE SET kinds = excluded.kinds, selectors = excluded.selectors,
    distinguished_by = excluded.distinguished_by, x509_svid_ttl = excluded.x509_svid_ttl,
    jwt_svid_ttl = excluded.jwt_svid_ttl, lease_seconds = excluded.lease_seconds,
    most_identities = excluded.most_identities
  RETURNING entry_id`;
const removeEnded = `DELETE FROM entries USING service_identities AS given
  WHERE entries.id = given.entry_id AND given.agent_id = $1 AND entries.expires_at <= $2`;
const insertIdentity = `INSERT INTO service_identities (entry_id, template_id, agent_id, distinguisher) VALUES ($1, $2, $3, $4)`;

export function createServiceStore(database: Database, clock: () => number): ServiceStore {
  const nowSeconds = () => Math.floor(clock() / 1000);

  return {
    async saveServiceTemplate(template) {
      const { kinds, selectors, distinguishedBy, x509SvidTtl, jwtSvidTtl, leaseSeconds, mostIdentities } = template;
      const [saved] = await database.query(saveTemplate, [
        template.entryId,
        kinds,
        encodeSelectors(selectors),
        distinguishedBy,
        x509SvidTtl,
        jwtSvidTtl,
        leaseSeconds,
        mostIdentities,
      ]);
      if (saved === undefined) throw new StoreError('NOT_FOUND', 'record not found');
    },
    async fetchServiceTemplate(entryId) {
      const [row] = await database.query<TemplateRow>(`SELECT * FROM ${templates} WHERE entry_id = $1`, [entryId]);
      return row === undefined ? undefined : templateOfRow(row);
    },
    async listServiceTemplates(page) {
      const conditions = new Conditions();
      const slice = sliceOf(page, conditions);
      const found = await database.query<TemplateRow>(
        `SELECT * FROM ${templates}${conditions.where()}${slice.tail}`,
        conditions.values,
      );
      const { rows, nextPageToken } = cutPage(found, slice);
      return { templates: rows.map((row) => ({ ...templateOfRow(row), spiffeId: row.spiffe_id })), nextPageToken };
    },
    deleteServiceTemplate: (entryId) =>
      database.transaction(async (query) => {
        const [held] = await query('SELECT entry_id FROM service_templates WHERE entry_id = $1 FOR UPDATE', [entryId]);
        if (held === undefined) return undefined;
        const [given] = await query<{ count: number }>(
          'SELECT count(*) AS count FROM service_identities WHERE template_id = $1',
          [entryId],
        );
        await query('DELETE FROM service_templates WHERE entry_id = $1', [entryId]);
        return given?.count ?? 0;
      }),
    async listServiceIdentities(templateId, page) {
      const conditions = new Conditions().add('"templateId" = ?', templateId);
      const slice = sliceOf(page, conditions);
      const found = await database.query<ServiceIdentity & { seq: number }>(
        `SELECT * FROM ${identities}${conditions.where()}${slice.tail}`,
        conditions.values,
      );
      const { rows, nextPageToken } = cutPage(found, slice);
      return { identities: rows.map(withoutSeq), nextPageToken };
    },
    giveServiceIdentity: (template, derived) =>
      database.transaction((query) => give(query, template, derived, nowSeconds())),
    async withdrawServiceIdentities({ templateId, agentId, spiffeId, entryId }) {
      const gone = await database.query(
        `DELETE FROM entries USING service_identities AS given WHERE entries.id = given.entry_id
          AND given.template_id = $1 AND given.agent_id = $2 AND entries.spiffe_id = $3
          AND ($4::text IS NULL OR given.entry_id = $4) RETURNING entries.id`,
        [templateId, agentId, spiffeId, entryId ?? null],
      );
      return gone.length;
    },
  };
}

async function give(
  query: Query,
  { entryId: templateId, mostIdentities }: ServiceTemplate,
  derived: DerivedEntry,
  nowSeconds: number,
): Promise<ServiceIdentity> {
  const { parentId: agentId, spiffeId, distinguisher, expiresAt } = derived;
  // One after the other, and none while the template goes.
  const [held] = await query('SELECT entry_id FROM service_templates WHERE entry_id = $1 FOR UPDATE', [templateId]);
  if (held === undefined) throw new StoreError('NOT_FOUND', 'record not found');
  await query(removeEnded, [agentId, nowSeconds]);
  const [bound] = await query<ServiceIdentity>(
    `SELECT * FROM ${identities} WHERE "agentId" = $1 AND distinguisher = $2`,
    [agentId, distinguisher],
  );
  if (bound !== undefined) {
    if (bound.templateId !== templateId || bound.spiffeId !== spiffeId)
      throw new StoreError('CONFLICT', `${distinguisher} has another identity on this node`);
    await query('UPDATE entries SET expires_at = $2 WHERE id = $1', [bound.entryId, expiresAt]);
    return { ...withoutSeq(bound), expiresAt };
  }
  const [given] = await query<{ count: number }>(
    'SELECT count(*) AS count FROM service_identities WHERE template_id = $1 AND agent_id = $2',
    [templateId, agentId],
  );
  if ((given?.count ?? 0) >= mostIdentities)
    throw new StoreError('LIMIT', `service has ${mostIdentities} identities on this node already`);
  const entryId = randomUUID();
  const [outcome] = await insertChunk(query, [entryOf(derived, entryId, nowSeconds)]);
  if (outcome === undefined || outcome instanceof StoreError) throw outcome ?? new Error('no outcome');
  if (outcome.existing) throw new StoreError('CONFLICT', 'an entry of an administrator says the same');
  await query(insertIdentity, [entryId, templateId, agentId, distinguisher]);
  return { entryId, templateId, agentId, spiffeId, distinguisher, expiresAt };
}

function withoutSeq({ entryId, templateId, agentId, spiffeId, distinguisher, expiresAt }: ServiceIdentity) {
  return { entryId, templateId, agentId, spiffeId, distinguisher, expiresAt };
}

function entryOf(derived: DerivedEntry, id: string, createdAt: number): EntryRecord {
  const { spiffeId, parentId, selectors, x509SvidTtl, jwtSvidTtl, federatesWith, expiresAt } = derived;
  const given = { spiffeId, parentId, selectors, x509SvidTtl, jwtSvidTtl, federatesWith, expiresAt };
  const plain = { admin: false, downstream: false, storeSvid: false, dnsNames: [], hint: '', revisionNumber: 0 };
  return { ...plain, ...given, id, createdAt };
}

function templateOfRow(row: TemplateRow): ServiceTemplate {
  return {
    entryId: row.entry_id,
    kinds: row.kinds,
    selectors: decodeSelectors(row.selectors),
    distinguishedBy: row.distinguished_by,
    x509SvidTtl: row.x509_svid_ttl,
    jwtSvidTtl: row.jwt_svid_ttl,
    leaseSeconds: row.lease_seconds,
    mostIdentities: row.most_identities,
  };
}

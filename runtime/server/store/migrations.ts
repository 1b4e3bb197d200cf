// The database's schema as a list of steps, each applied once, in order, never changed afterwards.

/** Lists live as arrays beside their record: one row is one record, and PostgreSQL's array operators are the API's set matches. */
const records = `
  CREATE TABLE entries (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id text PRIMARY KEY,
    spiffe_id text NOT NULL,
    parent_id text NOT NULL,
    selectors text[] NOT NULL,
    x509_svid_ttl integer NOT NULL,
    jwt_svid_ttl integer NOT NULL,
    federates_with text[] NOT NULL,
    admin boolean NOT NULL,
    downstream boolean NOT NULL,
    store_svid boolean NOT NULL,
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    dns_names text[] NOT NULL,
    hint text NOT NULL,
    revision_number bigint NOT NULL DEFAULT 0,
    additional_attributes jsonb,
    -- SHA-256 of parent, SPIFFE ID and selectors: what makes two entries similar.
    similarity bytea NOT NULL UNIQUE
  );
  CREATE INDEX entries_spiffe_id ON entries (spiffe_id);
  CREATE INDEX entries_parent_id ON entries (parent_id);
  CREATE INDEX entries_selectors ON entries USING gin (selectors);
  CREATE INDEX entries_federates_with ON entries USING gin (federates_with);
  CREATE INDEX entries_expires_at ON entries (expires_at) WHERE expires_at > 0;

  CREATE TABLE agents (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    spiffe_id text PRIMARY KEY,
    attestation_type text NOT NULL,
    x509_svid_serial_number text NOT NULL,
    x509_svid_expires_at bigint NOT NULL,
    new_x509_svid_serial_number text NOT NULL,
    new_x509_svid_expires_at bigint NOT NULL,
    banned boolean NOT NULL,
    can_reattest boolean NOT NULL,
    selectors text[] NOT NULL,
    agent_version text
  );
  CREATE INDEX agents_x509_svid_expires_at ON agents (x509_svid_expires_at);

  CREATE TABLE join_tokens (token text PRIMARY KEY, expires_at bigint NOT NULL);

  CREATE TABLE bundles (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    trust_domain text PRIMARY KEY,
    sequence_number bigint NOT NULL,
    refresh_hint_seconds bigint NOT NULL,
    authorities jsonb NOT NULL
  );

  CREATE TABLE ca_journals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    active_x509_authority_id text NOT NULL,
    active_jwt_authority_id text NOT NULL,
    data text NOT NULL,
    updated_at bigint NOT NULL
  );
  CREATE INDEX ca_journals_active_x509_authority_id ON ca_journals (active_x509_authority_id);
`;

/**
 * Every change is noted in its own transaction, whoever makes it. Revisions are handed out before the commit, so a reader that remembered only the
 * greatest would miss slow transactions: it goes by `xact`, of which the database knows the oldest one still running.
 */
const changes = `
  CREATE TABLE changes (
    revision bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL,
    subject text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX changes_xact ON changes (xact);
  CREATE INDEX changes_at ON changes (at);

  CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    changed record;
    subject text;
  BEGIN
    IF tg_op = 'DELETE' THEN changed := old; ELSE changed := new; END IF;
    IF tg_argv[0] = 'entry' THEN subject := changed.id;
    ELSIF tg_argv[0] = 'agent' THEN subject := changed.spiffe_id;
    ELSE subject := changed.trust_domain;
    END IF;
    INSERT INTO changes (kind, subject) VALUES (tg_argv[0], subject);
    PERFORM pg_notify('espalier_changes', '');
    RETURN NULL;
  END $$;
  CREATE TRIGGER entries_changed AFTER INSERT OR UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION record_change('entry');
  CREATE TRIGGER agents_changed AFTER INSERT OR UPDATE OR DELETE ON agents FOR EACH ROW EXECUTE FUNCTION record_change('agent');
  CREATE TRIGGER bundles_changed AFTER INSERT OR UPDATE OR DELETE ON bundles FOR EACH ROW EXECUTE FUNCTION record_change('bundle');
`;

/** A journal is of use as long as any of its authorities lives, however rarely it is written; the default is the last second of the year 9999. */
const journalExpiry = `
  ALTER TABLE ca_journals ADD COLUMN expires_at bigint NOT NULL DEFAULT 253402300799;
  CREATE INDEX ca_journals_expires_at ON ca_journals (expires_at);
`;

/** The servers that share this database. What they tell of themselves is a change that the others hear of; a mere heartbeat is not. */
const replicas = `
  CREATE TABLE server_replicas (
    id text PRIMARY KEY,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    applied_sequence bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    authorities jsonb NOT NULL,
    authority_ids text[] NOT NULL
  );

  CREATE FUNCTION record_change_of_id() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    changed record;
  BEGIN
    IF tg_op = 'DELETE' THEN changed := old; ELSE changed := new; END IF;
    INSERT INTO changes (kind, subject) VALUES (tg_argv[0], changed.id);
    PERFORM pg_notify('espalier_changes', '');
    RETURN NULL;
  END $$;
  CREATE TRIGGER replicas_came_or_went AFTER INSERT OR DELETE ON server_replicas
    FOR EACH ROW EXECUTE FUNCTION record_change_of_id('replica');
  CREATE TRIGGER replicas_changed AFTER UPDATE ON server_replicas FOR EACH ROW
    WHEN ((old.applied_sequence, old.authorities) IS DISTINCT FROM (new.applied_sequence, new.authorities))
    EXECUTE FUNCTION record_change_of_id('replica');
`;

/** Entries and agents are written many at a time: their changes are noted by one statement for each of those, not row by row. */
const changesOf = (table: string, kind: string, key: string): string => `
  CREATE FUNCTION record_changes_of_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO changes (kind, subject) SELECT '${kind}', ${key} FROM changed;
    IF found THEN PERFORM pg_notify('espalier_changes', ''); END IF;
    RETURN NULL;
  END $$;
  DROP TRIGGER ${table}_changed ON ${table};
  CREATE TRIGGER ${table}_inserted AFTER INSERT ON ${table} REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION record_changes_of_${table}();
  CREATE TRIGGER ${table}_updated AFTER UPDATE ON ${table} REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION record_changes_of_${table}();
  CREATE TRIGGER ${table}_deleted AFTER DELETE ON ${table} REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION record_changes_of_${table}();
`;

/** Most entries federate with nobody, and nobody looks for those: every set that a filter asks for has a member. */
const lighterIndexes = `
  DROP INDEX entries_federates_with;
  CREATE INDEX entries_federates_with ON entries USING gin (federates_with) WHERE federates_with <> '{}';
  DROP INDEX changes_at;
  CREATE INDEX changes_at ON changes USING brin (at);
`;

const bulkWrites = changesOf('entries', 'entry', 'id') + changesOf('agents', 'agent', 'spiffe_id') + lighterIndexes;

/**
 * Of authorities: acts that one server asks of another, what was revoked and must not come back by an append, what was about to be signed or published, and
 * up to when something signed may be valid.
 */
const authorities = `
  CREATE TABLE authority_acts (
    id text PRIMARY KEY,
    owner text NOT NULL,
    asked_by text NOT NULL,
    kind text NOT NULL,
    act text NOT NULL,
    authority_id text NOT NULL,
    state text NOT NULL DEFAULT 'asked',
    answer jsonb,
    asked_at timestamptz NOT NULL DEFAULT now()
  );
  -- Asked twice, it is done once.
  CREATE UNIQUE INDEX authority_acts_pending ON authority_acts (owner, kind, act, authority_id) WHERE state IN ('asked', 'taken');
  CREATE TRIGGER acts_changed AFTER INSERT OR UPDATE ON authority_acts FOR EACH ROW EXECUTE FUNCTION record_change_of_id('act');

  CREATE TABLE revoked_authorities (
    trust_domain text NOT NULL,
    kind text NOT NULL,
    authority_id text NOT NULL,
    -- Unix seconds: when the authority itself would have ended; 0 is never.
    expires_at bigint NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trust_domain, kind, authority_id)
  );

  CREATE TABLE authority_intents (
    id text PRIMARY KEY,
    replica text NOT NULL,
    kind text NOT NULL,
    authority_id text NOT NULL,
    issuer_id text NOT NULL,
    serial_number text UNIQUE,
    expires_at bigint NOT NULL,
    intended_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
  );
  CREATE INDEX authority_intents_expires_at ON authority_intents (expires_at);

  CREATE TABLE signed_until (
    kind text NOT NULL,
    authority_id text NOT NULL,
    upstream_authority_id text NOT NULL,
    -- Unix seconds.
    expires_at bigint NOT NULL,
    until bigint NOT NULL,
    settled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (kind, authority_id)
  );

  CREATE TABLE maintenance_tasks (task text PRIMARY KEY, done_at bigint NOT NULL);
`;

/** The trigger's function takes the trust domain as the subject of every kind that it does not know by name. */
const federation = `
  CREATE TABLE federation_relationships (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    trust_domain text PRIMARY KEY,
    bundle_endpoint_url text NOT NULL,
    bundle_endpoint_profile text NOT NULL,
    endpoint_spiffe_id text NOT NULL
  );
  CREATE TRIGGER federation_relationships_changed AFTER INSERT OR UPDATE OR DELETE ON federation_relationships
    FOR EACH ROW EXECUTE FUNCTION record_change('federation_relationship');
`;

/** One row for whoever reports, gone with the agent; and when each authority came, was tainted and went, told from the bundle by its sequence number. */
const fleet = `
  CREATE TABLE fleet_reports (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind text NOT NULL,
    spiffe_id text NOT NULL,
    instance text NOT NULL,
    -- Milliseconds, as are the times below.
    reported_at bigint NOT NULL,
    report jsonb NOT NULL,
    PRIMARY KEY (kind, spiffe_id, instance)
  );
  CREATE FUNCTION forget_reports_of_agent() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    DELETE FROM fleet_reports USING gone WHERE fleet_reports.kind = 'agent' AND fleet_reports.spiffe_id = gone.spiffe_id;
    RETURN NULL;
  END $$;
  CREATE TRIGGER agents_gone AFTER DELETE ON agents REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION forget_reports_of_agent();

  CREATE TABLE fleet_authorities (
    kind text NOT NULL,
    authority_id text NOT NULL,
    published_at bigint NOT NULL,
    tainted_at bigint NOT NULL,
    revoked_at bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (kind, authority_id)
  );
`;

/** Who asked for a downstream CA; of those before, nobody knows. */
const requesters = `ALTER TABLE authority_intents ADD COLUMN requested_by text NOT NULL DEFAULT ''`;

/**
 * The longest that an authority has signed for, in seconds: whatever it signed before it was killed ends at most that long after. Unknown (null) where an
 * older server keeps the row: then the bound alone says something.
 */
const longestTtl = 'ALTER TABLE signed_until ADD COLUMN longest_ttl bigint';

/**
 * What services may give to the processes that they run for others. What was given are entries; whatever takes the right away takes them away in the
 * same transaction: the template's end or other terms, the end of the service's entry or another ID or place for it, and the node's end.
 */
const services = `
  CREATE TABLE service_templates (
    entry_id text PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,
    kinds text[] NOT NULL,
    selectors text[] NOT NULL,
    distinguished_by text NOT NULL,
    x509_svid_ttl integer NOT NULL,
    jwt_svid_ttl integer NOT NULL,
    lease_seconds integer NOT NULL,
    most_identities integer NOT NULL
  );
  CREATE TABLE service_identities (
    entry_id text PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,
    template_id text NOT NULL REFERENCES service_templates (entry_id) ON DELETE CASCADE,
    agent_id text NOT NULL,
    distinguisher text NOT NULL,
    UNIQUE (agent_id, distinguisher)
  );
  CREATE INDEX service_identities_template ON service_identities (template_id, agent_id);

  CREATE FUNCTION withdraw_service_identities() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF tg_table_name = 'entries' THEN
      DELETE FROM entries WHERE id IN (SELECT entry_id FROM service_identities WHERE template_id = old.id);
      RETURN NULL;
    END IF;
    DELETE FROM entries WHERE id IN (SELECT entry_id FROM service_identities WHERE template_id = old.entry_id);
    RETURN old;
  END $$;
  CREATE TRIGGER service_templates_gone BEFORE DELETE ON service_templates
    FOR EACH ROW EXECUTE FUNCTION withdraw_service_identities();
  -- On other terms it would not have been given.
  CREATE TRIGGER service_templates_changed AFTER UPDATE ON service_templates FOR EACH ROW
    WHEN ((old.kinds, old.selectors, old.distinguished_by) IS DISTINCT FROM (new.kinds, new.selectors, new.distinguished_by))
    EXECUTE FUNCTION withdraw_service_identities();
  CREATE TRIGGER service_entries_changed AFTER UPDATE ON entries FOR EACH ROW
    WHEN (old.spiffe_id IS DISTINCT FROM new.spiffe_id OR old.parent_id IS DISTINCT FROM new.parent_id)
    EXECUTE FUNCTION withdraw_service_identities();

  CREATE FUNCTION withdraw_service_identities_of_agents() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    DELETE FROM entries WHERE id IN (
      SELECT entry_id FROM service_identities JOIN gone ON service_identities.agent_id = gone.spiffe_id);
    RETURN NULL;
  END $$;
  CREATE TRIGGER service_agents_gone AFTER DELETE ON agents REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION withdraw_service_identities_of_agents();
`;

/** Digest of the key that an agent attested with by evidence that is taken once, until it renews: whoever has that key may ask again for its answer. */
const attestedKey = 'ALTER TABLE agents ADD COLUMN attested_key text';

/** Version n is the state after the first n steps. */
export const migrations: readonly string[] = [
  records,
  changes,
  journalExpiry,
  replicas,
  bulkWrites,
  authorities,
  federation,
  fleet,
  requesters,
  services,
  longestTtl,
  attestedKey,
];

/**
 * Servers that know at least this version can work with the schema as the last step leaves it. To be raised, to its own version, by a step that
 * takes away or renames what they use.
 */
export const oldestCompatible = 4;

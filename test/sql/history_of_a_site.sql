-- Indexes and constraints that a site has put on the history: they leak no memory, run as the owner of the table,
-- and cannot record checks.
\i test/fixtures/preamble.sql
CREATE FUNCTION t.harmless(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN upper($1); END';
CREATE INDEX site_expression ON integration_health_history (t.harmless(error)) WHERE latency_ms > 0;
CREATE FUNCTION t.check_often(n integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. n LOOP
    INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms, error)
    VALUES ('00000000-0000-0000-0000-00000000000a', 'xledger', 'unhealthy', i, 'e' || i)
    ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms, error = EXCLUDED.error;
  END LOOP;
END $$;
SELECT t.check_often(1000);
CREATE TEMP TABLE before AS SELECT sum(used_bytes) AS bytes FROM pg_backend_memory_contexts;
SELECT t.check_often(4000);
SELECT sum(m.used_bytes) - max(b.bytes) < 400000 AS flat FROM pg_backend_memory_contexts AS m, before AS b;
SET enable_seqscan = off;
SELECT count(*) FROM integration_health_history WHERE t.harmless(error) = 'E3999' AND latency_ms > 0;
RESET enable_seqscan;
SELECT * FROM t.violations();
DROP INDEX site_expression;

-- a function that only the owner of the table may execute
CREATE FUNCTION t.who(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN current_user = (SELECT tableowner FROM pg_tables WHERE tablename = ''integration_health_history''); END';
REVOKE ALL ON FUNCTION t.who(text) FROM PUBLIC;
ALTER TABLE integration_health_history ADD CONSTRAINT site_owner CHECK (t.who(error));
SET ROLE service_role;
SELECT check_no, current_user FROM record_health_check(:'org_a', 'xledger', 'healthy');
RESET ROLE;
ALTER TABLE integration_health_history DROP CONSTRAINT site_owner;

-- a constraint that records a check: refused, nothing is lost in silence
CREATE FUNCTION t.nest(uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF $1 = '00000000-0000-0000-0000-00000000000a' THEN
    PERFORM record_health_check('00000000-0000-0000-0000-00000000000b', 'xledger', 'healthy');
  END IF;
  RETURN true;
END $$;
ALTER TABLE integration_health_history ADD CONSTRAINT site_nests CHECK (t.nest(org_id));
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''healthy'')', :'org_a'));
SELECT check_no FROM record_health_check(:'org_b', 'xledger', 'healthy');
ALTER TABLE integration_health_history DROP CONSTRAINT site_nests;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT * FROM t.violations();

-- a constraint on the status table that records a check: both checks are recorded exactly
ALTER TABLE integration_health_status ADD CONSTRAINT site_nests CHECK (t.nest(org_id));
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'degraded');
SELECT right(org_id::text, 1) AS org, status, check_no FROM integration_health_status ORDER BY 1;
SELECT * FROM t.violations();
ALTER TABLE integration_health_status DROP CONSTRAINT site_nests;

-- columns of a site: defaults and generated columns are those of a new row, for each check; NOT NULL without a default is named
ALTER TABLE integration_health_history ADD site_key uuid NOT NULL DEFAULT gen_random_uuid(), ADD site_seconds numeric GENERATED ALWAYS AS (latency_ms / 1000.0) STORED,
  ADD site_noted text, ADD site_number integer DEFAULT 7, ADD CONSTRAINT site_is_fast CHECK (site_seconds < 60);
SELECT t.check_often(100);
SELECT count(*), count(DISTINCT site_key) AS keys, bool_and(site_seconds = latency_ms / 1000.0) AS generated, count(site_noted) AS noted, min(site_number) AS number
  FROM integration_health_history WHERE org_id = :'org_a';
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''degraded'', 60000)', :'org_a'));
SELECT sum(used_bytes) AS bytes INTO TEMP before_columns FROM pg_backend_memory_contexts;
SELECT t.check_often(4000);
SELECT sum(m.used_bytes) - max(b.bytes) < 400000 AS flat FROM pg_backend_memory_contexts AS m, before_columns AS b;
ALTER TABLE integration_health_history ALTER site_key DROP DEFAULT;
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''degraded'')', :'org_a'));
CREATE FUNCTION t.nest() RETURNS integer LANGUAGE sql AS $$ SELECT 1 FROM record_health_check('00000000-0000-0000-0000-00000000000b', 'xledger', 'healthy') $$;
ALTER TABLE integration_health_history DROP site_key, DROP site_noted, ALTER site_number SET DEFAULT t.nest();
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''degraded'')', :'org_a'));
ALTER TABLE integration_health_history DROP site_number, DROP site_seconds;
-- what would not be honoured is refused
CREATE FUNCTION t.idle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE t.org (id uuid PRIMARY KEY);
CREATE FUNCTION t.refused(setup text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE setup;
  result := t.error('SELECT record_health_check(''00000000-0000-0000-0000-00000000000a'', ''xledger'', ''healthy'')');
  RAISE EXCEPTION USING ERRCODE = 'UD000', MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'UD000' THEN
  RETURN regexp_replace(result, ' \(.*', '');
END $$;
SELECT t.refused(s) FROM unnest(ARRAY[
  'CREATE TRIGGER site_after AFTER INSERT OR UPDATE ON integration_health_history FOR EACH ROW EXECUTE FUNCTION t.idle()',
  'CREATE TRIGGER site_statement AFTER INSERT ON integration_health_history EXECUTE FUNCTION t.idle()',
  'CREATE TRIGGER site_off AFTER INSERT ON integration_health_history EXECUTE FUNCTION t.idle(); ALTER TABLE integration_health_history DISABLE TRIGGER site_off',
  'CREATE RULE site_rule AS ON INSERT TO integration_health_history DO ALSO NOTHING',
  'INSERT INTO t.org SELECT DISTINCT org_id FROM integration_health_history; ALTER TABLE integration_health_history ADD CONSTRAINT site_org FOREIGN KEY (org_id) REFERENCES t.org',
  'CREATE TABLE t.note (org_id uuid, type text, slot smallint, CONSTRAINT site_note FOREIGN KEY (org_id, type, slot) REFERENCES integration_health_history)',
  'ALTER TABLE integration_health_history ADD CONSTRAINT site_unique UNIQUE (org_id, integration_type, check_no) DEFERRABLE',
  'ALTER TABLE integration_health_history DROP CONSTRAINT integration_health_history_pkey',
  'ALTER TABLE integration_health_history DROP CONSTRAINT integration_health_history_pkey, ADD CONSTRAINT site_key PRIMARY KEY (slot, org_id, integration_type)']) AS s;
DROP TABLE t.org;
SELECT check_no > 0 AS recorded FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT * FROM t.violations();

-- generated columns of the status table: the constraints see those of a late check itself
ALTER TABLE integration_health_status ADD site_seconds numeric GENERATED ALWAYS AS (latency_ms / 1000.0) STORED, ADD CONSTRAINT site_is_fast CHECK (site_seconds < 60);
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''degraded'', 60000, checked_at => now() - interval ''1 hour'')', :'org_a'));
SELECT status FROM record_health_check(:'org_a', 'xledger', 'degraded', 59999, checked_at => now() - interval '1 hour');
ALTER TABLE integration_health_status DROP site_seconds;
-- a pair that a trigger of the site deletes, or checks again, before the extension's trigger has copied it
CREATE FUNCTION t.undo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.error = 'delete' THEN
    DELETE FROM integration_health_status WHERE org_id = NEW.org_id;
  ELSIF NEW.error = 'update' THEN
    UPDATE integration_health_status SET status = 'degraded' WHERE org_id = NEW.org_id;
  ELSIF NEW.error = 'both' THEN
    UPDATE integration_health_status SET status = 'degraded' WHERE org_id = NEW.org_id;
    DELETE FROM integration_health_status WHERE org_id = NEW.org_id;
  ELSIF NEW.error = 'neither' THEN
    BEGIN
      DELETE FROM integration_health_status WHERE org_id = NEW.org_id;
      RAISE EXCEPTION 'no';
    EXCEPTION WHEN raise_exception THEN
    END;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER a_site AFTER INSERT ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.undo();
TRUNCATE integration_health_status;
INSERT INTO integration_health_status (org_id, integration_type, status, error)
SELECT ('00000000-0000-0000-0000-0000000000' || 10 + n)::uuid, 'xledger', 'healthy', e FROM unnest(ARRAY['delete', 'update', 'both', 'neither']) WITH ORDINALITY AS u (e, n);
SELECT right(org_id::text, 2) AS org, check_no, status FROM integration_health_history ORDER BY 1, 2;
SELECT integration_type, status, sum(delta) FROM integration_health_counts GROUP BY 1, 2 HAVING sum(delta) <> 0 ORDER BY 1, 2;
SELECT * FROM t.violations();
DROP TRIGGER a_site ON integration_health_status;

-- two transactions in one message: the second does not rely on what the first saw and rolled back
TRUNCATE integration_health_status;
BEGIN \; INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at) VALUES ('00000000-0000-0000-0000-00000000000a', 'telepathy', 'healthy', '2026-01-01Z', '2026-01-01Z', 0, 5, '2026-01-01Z') \; ROLLBACK \; BEGIN \; INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at) VALUES ('00000000-0000-0000-0000-00000000000a', 'telepathy', 'healthy', '2026-01-01Z', '2026-01-01Z', 0, 5, '2026-01-01Z') \; COMMIT;
SELECT integration_type, check_no FROM integration_health_status;
DELETE FROM integration_health_status;
DELETE FROM integration_types WHERE integration_type = 'telepathy';

-- The trigger functions serve the extension's own triggers, and a table that a site has altered
-- gets a clear error. As the owner: nobody else can do these things.
\i test/fixtures/preamble.sql
SELECT t.error('SELECT integration_health_status_trigger()');
CREATE TABLE t.own (LIKE integration_health_status INCLUDING ALL);
CREATE TABLE t.small (id integer);
SELECT t.error(c) FROM unnest(ARRAY[
  $$CREATE TRIGGER x BEFORE INSERT ON t.own FOR EACH ROW EXECUTE FUNCTION integration_health_status_trigger()$$,
  $$INSERT INTO t.own (org_id, integration_type, status) VALUES (gen_random_uuid(), 'xledger', 'healthy')$$,
  $$CREATE TRIGGER x BEFORE INSERT ON t.small FOR EACH ROW EXECUTE FUNCTION integration_types_trigger()$$,
  $$INSERT INTO t.small VALUES (1)$$,
  $$DROP TABLE t.own, t.small$$]) AS c;
BEGIN;
CREATE TRIGGER a_wrong_event BEFORE DELETE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION integration_health_status_trigger();
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
SELECT t.error('DELETE FROM integration_health_status');
ROLLBACK;
BEGIN;
CREATE TRIGGER a_wrong_level BEFORE INSERT ON integration_health_status FOR EACH STATEMENT EXECUTE FUNCTION integration_health_status_trigger();
SELECT t.error($$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'healthy')$$);
ROLLBACK;
BEGIN;
CREATE TRIGGER a_with_arguments BEFORE INSERT ON integration_health_status FOR EACH ROW EXECUTE FUNCTION integration_health_status_trigger('x');
SELECT t.error($$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'healthy')$$);
ROLLBACK;

-- columns that the copy needs, gone, renamed or of another type; and back again
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
CREATE FUNCTION t.altered(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  said text;
BEGIN
  BEGIN
    said := t.error(change);
    IF said <> 'no error' THEN
      RETURN 'refused: ' || split_part(said, ':', 1);
    END IF;
    said := t.error($q$UPDATE integration_health_status SET status = 'unhealthy'$q$) || ' / '
      || t.error($q$INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('00000000-0000-0000-0000-00000000000b', 'xledger', 'healthy')$q$);
    RAISE EXCEPTION 'undo';
  EXCEPTION WHEN raise_exception THEN
    RETURN said;
  END;
END
$$;
SELECT c AS change, t.altered(c) FROM unnest(ARRAY[
  'ALTER TABLE integration_health_status RENAME latency_ms TO latency',
  'ALTER TABLE integration_health_status DROP COLUMN recorded_at',
  'ALTER TABLE integration_health_status ALTER latency_ms TYPE bigint',
  'ALTER TABLE integration_health_history DROP COLUMN slot',
  'ALTER TABLE integration_health_history RENAME checked_at TO at',
  'ALTER TABLE integration_health_history ADD region text NOT NULL',
  'ALTER TABLE integration_health_history ADD region text NOT NULL DEFAULT ''eu''',
  'ALTER TABLE integration_health_status ADD note text, ADD slow boolean GENERATED ALWAYS AS (latency_ms > 1000) STORED',
  'ALTER TABLE integration_health_status ADD a integer, ADD b integer; ALTER TABLE integration_health_status DROP a',
  'CREATE RULE r AS ON INSERT TO integration_health_history DO INSTEAD NOTHING',
  'CREATE FUNCTION t.none() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''; CREATE TRIGGER a BEFORE INSERT OR UPDATE ON integration_health_history FOR EACH ROW EXECUTE FUNCTION t.none()',
  'CREATE FUNCTION t.none() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''; CREATE TRIGGER zzz BEFORE INSERT OR UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.none()',
  'CREATE FUNCTION t.none() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''; CREATE TRIGGER a BEFORE INSERT OR UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.none()',
  'ALTER TYPE integration_health_state RENAME VALUE ''unknown'' TO ''nobody_knows''',
  'ALTER TABLE integration_health_history RENAME TO elsewhere']) AS c;
SELECT status, check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy');
SELECT * FROM t.violations();

-- FORCE ROW LEVEL SECURITY: the owner records, and the extension writes
BEGIN;
CREATE ROLE test_owner;
SELECT current_schema() AS home \gset
GRANT USAGE, CREATE ON SCHEMA :"home" TO test_owner;
ALTER TABLE integration_health_status OWNER TO test_owner;
ALTER TABLE integration_health_history OWNER TO test_owner;
ALTER TABLE integration_health_counts OWNER TO test_owner;
ALTER TABLE integration_types OWNER TO test_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA t TO test_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"home" TO test_owner;
ALTER TABLE integration_health_status FORCE ROW LEVEL SECURITY;
ALTER TABLE integration_health_history FORCE ROW LEVEL SECURITY;
ALTER TABLE integration_health_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_writes ON integration_health_status TO test_owner USING (true) WITH CHECK (true);
SET LOCAL ROLE test_owner;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy', checked_at => now() - interval '31 days');
SELECT check_no FROM record_health_check(:'org_b', 'xledger', 'healthy', checked_at => now() - interval '31 days');
SELECT count(*) FROM integration_health_history;
-- a writer may have folded the counts just before, so the test looks at what is left
SELECT integration_health_cleanup(), mark_stale_health(), integration_health_compact() >= 0 AS folded;
RESET ROLE;
SELECT count(*) AS unfolded FROM (SELECT FROM integration_health_counts GROUP BY integration_type, status HAVING count(*) > 1) AS c;
SET LOCAL ROLE test_owner;
SELECT set_config('request.jwt.claims', t.claims(:'org_a', 'global_admin'), true) IS NOT NULL AS signed_in;
SELECT integration_type, total FROM get_global_health_summary();
DELETE FROM integration_health_status WHERE org_id = :'org_b';
ROLLBACK;
SELECT * FROM t.violations();

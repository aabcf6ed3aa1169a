-- Errors that need unusual circumstances: each is clean, and nothing is half recorded.
\i test/fixtures/preamble.sql
SELECT current_schema() AS home \gset

-- someone who may execute the grant function and does not own the tables
CREATE ROLE test_deputy;
GRANT USAGE ON SCHEMA :"home", t TO test_deputy;
GRANT EXECUTE ON FUNCTION grant_integration_health(regrole, regrole) TO test_deputy;
SET ROLE test_deputy;
SELECT t.error('SELECT grant_integration_health(''anon'', ''anon'')');
RESET ROLE;
DROP OWNED BY test_deputy;
DROP ROLE test_deputy;

-- the status trigger, attached for an event that it does not serve
BEGIN;
CREATE TRIGGER a_wrong_event AFTER UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION integration_health_status_trigger();
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
SELECT t.error($$UPDATE integration_health_status SET status = 'degraded'$$);
ROLLBACK;

-- the type of the statuses renamed by its owner
BEGIN;
ALTER TYPE integration_health_state RENAME TO other_state;
SELECT t.error($$INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('00000000-0000-0000-0000-00000000000a', 'xledger', 'healthy')$$);
ROLLBACK;

-- a site's trigger that refuses a whole batch, and then each entry for another reason, or none
CREATE SEQUENCE t.calls;
CREATE FUNCTION t.moody() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('t.calls') = 1 THEN
    RAISE check_violation USING MESSAGE = 'not the first time';
  ELSIF NEW.error IS NOT NULL THEN
    RAISE insufficient_privilege USING MESSAGE = 'not this one';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER moody BEFORE INSERT ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.moody();
SELECT t.error($$SELECT record_health_checks('[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "xledger", "status": "healthy"}]')$$);
SELECT setval('t.calls', 1, false);
SELECT t.error($$SELECT record_health_checks('[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "xledger", "status": "healthy", "error": "x"}]')$$);
DROP TRIGGER moody ON integration_health_status;
DROP FUNCTION t.moody();
DROP SEQUENCE t.calls;
SELECT count(*) FROM integration_health_status;
SELECT * FROM t.violations();

-- restored rows of more types than a session remembers, and of types that are not there yet
BEGIN;
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, recorded_at, check_no)
SELECT :'org_a', 'restored_' || n, 'healthy', '2026-01-01', '2026-01-01', 0, '2026-01-01', 7 FROM generate_series(1, 200) n;
SELECT count(*), min(check_no), max(check_no) FROM integration_health_status;
ROLLBACK;

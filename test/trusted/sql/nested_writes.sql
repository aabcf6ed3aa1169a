-- The ring is written after the statement: what a site's own triggers do to a pair in between is recorded exactly, too.
\i test/fixtures/preamble.sql
CREATE FUNCTION t.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.error IN ('delete', 'delete and record') THEN
    DELETE FROM integration_health_status WHERE org_id = NEW.org_id AND integration_type = NEW.integration_type;
  END IF;
  IF NEW.error IN ('record', 'delete and record') THEN
    PERFORM record_health_check(NEW.org_id, NEW.integration_type, 'degraded', latency_ms => n) FROM generate_series(1, 3) AS n;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER a_meddles AFTER UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.meddle();
CREATE FUNCTION t.ring() RETURNS text LANGUAGE sql
RETURN (SELECT string_agg(format('%s %s', check_no, status), ', ' ORDER BY check_no) FROM integration_health_history);
SET ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy');
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy', error => 'record');
SELECT t.ring();
SELECT * FROM t.violations();
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy', error => 'delete and record');
SELECT t.ring();
SELECT * FROM t.violations();
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy', error => 'delete');
SELECT t.ring();
SELECT count(*) FROM integration_health_status;
SELECT * FROM t.violations();
-- and before: a row that is dropped is no check, one that is changed is stored and copied as it is
RESET ROLE;
DROP TRIGGER a_meddles ON integration_health_status;
CREATE FUNCTION t.meddle_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.error = 'drop' THEN
    RETURN NULL;
  ELSIF NEW.error = 'change' THEN
    NEW.latency_ms := 4711;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER zzzz BEFORE UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.meddle_before();
SET ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy', error => 'drop');
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy', error => 'change');
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''healthy'', checked_at => now() - interval ''1 day'')', :'org_a'));
SELECT check_no, status, latency_ms FROM integration_health_history ORDER BY 1;
SELECT * FROM t.violations();
RESET ROLE;
DROP TRIGGER zzzz ON integration_health_status;
DROP FUNCTION t.meddle(), t.meddle_before(), t.ring();

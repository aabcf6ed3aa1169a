-- Indexes and constraints that a site has put on the history: no memory is kept, they run as the owner of the table,
-- and none of them records checks.
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
CREATE TEMP TABLE before AS SELECT sum(total_bytes) AS bytes FROM pg_backend_memory_contexts;
SELECT t.check_often(10000);
SELECT sum(m.total_bytes) - max(b.bytes) < 1000000 AS flat FROM pg_backend_memory_contexts AS m, before AS b;
SET enable_seqscan = off;
SELECT count(*) FROM integration_health_history WHERE t.harmless(error) = 'E10999' AND latency_ms > 0;
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

-- one on the status table: both are exact
ALTER TABLE integration_health_status ADD CONSTRAINT site_nests CHECK (t.nest(org_id));
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'degraded');
SELECT right(org_id::text, 1) AS org, status, check_no FROM integration_health_status ORDER BY 1;
SELECT * FROM t.violations();
ALTER TABLE integration_health_status DROP CONSTRAINT site_nests;

-- A pair that goes takes its history and its counts along; a pair that comes back starts anew.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', o, 'integration_type', 'xledger', 'status', 'healthy')))
  FROM unnest(ARRAY[:'org_a', :'org_b', :'org_b']) AS o;
DELETE FROM integration_health_status WHERE org_id = :'org_b' RETURNING check_no;
SELECT org_id, check_no FROM integration_health_history;
SELECT * FROM t.violations();
SELECT check_no FROM record_health_check(:'org_b', 'xledger', 'unhealthy');
SELECT * FROM t.violations();
-- TRUNCATE is no right of writers, nor is writing the history
SELECT t.error('TRUNCATE integration_health_status');
SELECT t.error('DELETE FROM integration_health_history');
RESET ROLE;
TRUNCATE integration_health_status;
SELECT (SELECT count(*) FROM integration_health_history) AS history, (SELECT count(*) FROM integration_health_counts) AS counts;
-- with the history named in the same command
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy');
TRUNCATE integration_health_history, integration_health_counts, integration_health_status;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy');
SELECT * FROM t.violations();
-- rolled back
BEGIN;
TRUNCATE integration_health_status;
ROLLBACK;
SELECT * FROM t.violations();
SELECT count(*) FROM integration_health_history;

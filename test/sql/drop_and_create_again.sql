-- DROP EXTENSION leaves nothing, and CREATE EXTENSION in the same session starts anew: no plan and
-- no layout of the old tables is used. Last of the tests, but it leaves the extension in place.
\i test/fixtures/preamble.sql
SELECT current_schema() AS schema \gset
SET ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy');
RESET ROLE;
DROP EXTENSION integration_health;
SELECT relname FROM pg_class WHERE relname LIKE 'integration\_%';
SELECT proname FROM pg_proc WHERE prosrc LIKE 'ih\_%';
SELECT typname FROM pg_type WHERE typname LIKE 'integration\_%';
CREATE EXTENSION integration_health SCHEMA :"schema";
SET ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy');
SELECT count(*) FROM integration_health_history;
SELECT mark_stale_health(), integration_health_cleanup(), integration_health_compact();
SELECT set_config('request.jwt.claims', t.claims(:'org_a', 'global_admin'), false) IS NOT NULL AS signed_in;
SELECT integration_type, total, unhealthy FROM get_global_health_summary();
-- the schema is renamed in mid-session
RESET ROLE;
SELECT :'schema' = 'public' AS in_public \gset
ALTER SCHEMA :"schema" RENAME TO renamed;
SET search_path = renamed;
SET ROLE service_role;
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''healthy'')', :'org_a')) = 'no error' AS recorded;
SELECT max(check_no) FROM integration_health_status;
SELECT count(*) FROM integration_health_history;
SELECT integration_type, total, healthy FROM get_global_health_summary();
RESET ROLE;
ALTER SCHEMA renamed RENAME TO :"schema";

-- An interval meant as "never" is refused: it would make the reports of all organisations fail (22008).
\i test/fixtures/preamble.sql
SELECT t.error($$UPDATE integration_types SET check_interval = '4000 years', max_backoff = '4000 years' WHERE integration_type = 'xledger'$$);
SELECT t.error($$UPDATE integration_types SET max_backoff = '367 days' WHERE integration_type = 'xledger'$$);
SELECT t.error($$UPDATE integration_types SET check_interval = '-4000 years' WHERE integration_type = 'xledger'$$);
BEGIN;
UPDATE integration_types SET check_interval = '366 days', max_backoff = '366 days' WHERE integration_type = 'xledger';
SET ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT integration_type, is_stale FROM get_org_health_status(:'org_a');
SELECT mark_stale_health();
-- what a system asks for is kept, but no longer than max_backoff
ROLLBACK;
BEGIN;
SET LOCAL ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy', http_status => 429, retry_after => 31536000);
COMMIT;
SELECT monitoring_mode, passive_until - passive_since AS wait FROM integration_types WHERE integration_type = 'xledger';
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'unhealthy', http_status => 429, retry_after => 31536000);
SELECT passive_until BETWEEN now() + interval '23 hours 59 minutes' AND clock_timestamp() + interval '24 hours' AS capped FROM integration_types WHERE integration_type = 'xledger';
SELECT monitoring_mode, passive_until, passive_since FROM resume_active_monitoring('xledger');

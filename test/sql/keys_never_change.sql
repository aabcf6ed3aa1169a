-- Like that of a status row, the key of a monitor or a schedule never changes: under another key, a pair would be
-- handed out again within its interval, and a period run again.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT (set_monitor(:'org_a', 'xledger')).enabled;
SELECT (set_sync_schedule(:'org_a', 'xledger', '1 day', '2026-01-01 02:30+00')).enabled;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT t.error(format('UPDATE %I SET org_id = %L', r, :'org_b'))
  FROM unnest('{integration_health_status,integration_monitors,integration_sync_schedules}'::text[]) AS r;
SELECT t.error(format('UPDATE %I SET integration_type = ''dynamics''', r))
  FROM unnest('{integration_health_status,integration_monitors,integration_sync_schedules}'::text[]) AS r;
-- a key may be set to the value that it has, as an upsert does
UPDATE integration_monitors SET org_id = org_id, integration_type = 'xledger', enabled = false;
UPDATE integration_sync_schedules SET org_id = org_id, integration_type = 'xledger', enabled = false;
SELECT integration_type, enabled FROM integration_monitors UNION ALL SELECT integration_type, enabled FROM integration_sync_schedules;

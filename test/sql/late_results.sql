-- A result older than the current one goes into the history and replaces nothing.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT count(record_health_check(:'org_a', 'xledger', 'unhealthy', 900, 500, 'boom', '2026-01-01 12:00')) AS recorded;
SELECT status, latency_ms, http_status, error, checked_at, consecutive_failures, check_no
  FROM record_health_check(:'org_a', 'xledger', 'healthy', 10, 200, NULL, '2026-01-01 11:45');
SELECT check_no, status, latency_ms, checked_at FROM integration_health_history ORDER BY check_no;
-- of the same time: not late
SELECT status, check_no, consecutive_failures FROM record_health_check(:'org_a', 'xledger', 'degraded', checked_at => '2026-01-01 12:00');
-- the trend is in the order of time, not of arrival; the counts follow the current status
SELECT count(record_health_check(:'org_b', 'xledger', 'healthy', checked_at => now() - interval '1 hour')) AS recorded;
SELECT count(record_health_check(:'org_b', 'xledger', 'unhealthy', checked_at => now() - interval '3 hours')) AS recorded;
SELECT count(record_health_check(:'org_b', 'xledger', 'degraded', checked_at => now() - interval '2 hours')) AS recorded;
SELECT status, check_no FROM get_health_trend(:'org_b', 'xledger');
SELECT * FROM t.violations();
-- a late result obeys the same constraints
SELECT t.error($$UPDATE integration_health_status SET latency_ms = -1, checked_at = '2026-01-01 11:00'$$);
SELECT t.error($$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'healthy', -1, checked_at => '2026-01-01 11:00')$$);
SELECT t.error($$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'healthy', 1, 99, checked_at => '2026-01-01 11:00')$$);
SELECT t.error($$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'healthy', error => repeat('x', 2001), checked_at => '2026-01-01 11:00')$$);
SELECT * FROM t.violations();

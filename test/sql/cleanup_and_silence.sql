-- integration_health_cleanup deletes what is too old and nothing else; mark_stale_health says so
-- when nobody checks.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', o, 'integration_type', 'xledger', 'status', 'healthy', 'latency_ms', d, 'checked_at', now() - d * interval '1 day')))
  FROM unnest(ARRAY[:'org_a', :'org_b']) AS o, unnest(ARRAY[40, 31, 29, 1]) AS d;
SELECT integration_health_cleanup(max_rows => 3);
SELECT integration_health_cleanup();
SELECT integration_health_cleanup();
SELECT latency_ms AS days_old, count(*) FROM integration_health_history GROUP BY 1 ORDER BY 1;
SELECT integration_health_cleanup('1 day');
SELECT count(*) AS history, (SELECT count(*) FROM integration_health_status) AS status FROM integration_health_history;
-- the ring goes on over the gap
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT slot, check_no FROM integration_health_history;
SELECT t.error(format('SELECT integration_health_cleanup(%s)', v)) FROM unnest(ARRAY['NULL', $$'0'$$, $$'-1 day'$$, $$'1 microsecond'$$, $$'23:59:59.999999'$$, $$'1 day', 0$$, $$'1 day', NULL$$]) AS v;
-- an interval that compares as a day deletes nothing younger than a day, whatever the month
SELECT integration_health_cleanup('-1000 months 30001 days');
SELECT integration_health_cleanup('24 hours');
SELECT count(*) AS kept FROM integration_health_history;

RESET ROLE;
TRUNCATE integration_health_status;
SET ROLE service_role;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', ('00000000-0000-0000-0000-' || lpad(minutes::text, 12, '0'))::uuid,
    'integration_type', type, 'status', status, 'latency_ms', 5, 'http_status', 200, 'checked_at', now() - minutes * interval '1 minute')))
  FROM unnest(ARRAY[29, 31, 50]) AS minutes, unnest(ARRAY['xledger', 'dynamics']) AS type, unnest(ARRAY['healthy']) AS status;
SELECT count(record_health_check('00000000-0000-0000-0000-000000000099', 'xledger', 'unhealthy', checked_at => '2026-01-01 10:00')) AS recorded;
SELECT count(record_health_check('00000000-0000-0000-0000-000000000098', 'xledger', 'unknown', checked_at => '2026-01-01')) AS recorded;
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'dynamics';
SELECT mark_stale_health(max_rows => 1);
SELECT mark_stale_health();
SELECT mark_stale_health();
SELECT right(org_id::text, 2) AS org, status, latency_ms, http_status, checked_at >= now() - interval '1 minute' AS marked, consecutive_failures,
       regexp_replace(error, '[0-9-]+T[0-9:]+Z', CASE WHEN error LIKE '%2026-01-01T10:00:00Z' THEN '2026-01-01T10:00:00Z' ELSE 'then' END) AS error, check_no
  FROM integration_health_status WHERE integration_type = 'xledger' ORDER BY org_id;
SELECT count(*) AS untouched FROM integration_health_status WHERE integration_type = 'dynamics' AND status = 'healthy' AND check_no = 1;
SELECT t.error('SELECT mark_stale_health(0)');
SELECT t.error('SELECT mark_stale_health(NULL)');
UPDATE integration_types SET monitoring_mode = 'active' WHERE integration_type = 'dynamics';
-- the next real check puts it right
SELECT status, consecutive_failures, error, check_no FROM record_health_check('00000000-0000-0000-0000-000000000031', 'xledger', 'healthy');
SELECT * FROM t.violations();
-- no job without pg_cron
SELECT t.error('SELECT schedule_integration_health_jobs()');
SELECT t.error('SELECT unschedule_integration_health_jobs()');

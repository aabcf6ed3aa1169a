-- What a page about an organisation asks for at once is what the single reports say.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT count(record_health_checks(jsonb_build_array(jsonb_build_object('org_id', org, 'integration_type', 'xledger', 'checked_at', now() - n * interval '3 hours',
         'status', CASE WHEN n % 7 < 2 THEN 'unhealthy' ELSE 'healthy' END, 'http_status', CASE WHEN n % 7 < 2 THEN 503 ELSE 200 END, 'latency_ms', n)))) AS recorded
  FROM (SELECT o, n FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o, generate_series(300, 0, -1) AS n ORDER BY n DESC) AS x (org, n);
SELECT status FROM record_health_check(:'org_a', 'dynamics', 'healthy', 90, checked_at => now() - interval '2 days');
SELECT integration_type FROM set_sync_schedule(:'org_a', 'xledger', '1 hour', date_trunc('hour', now()) - interval '10 days');
SELECT integration_type FROM set_sync_schedule(:'org_a', 'dynamics', '1 day', date_trunc('hour', now()) - interval '10 days', enabled => false);
SELECT integration_type FROM set_sync_schedule(:'org_b', 'xledger', '1 hour', date_trunc('hour', now()) - interval '10 days');
RESET ROLE;
UPDATE integration_sync_schedules SET planned_since = anchor;
SET ROLE service_role;
SET client_min_messages = error;
SELECT count(*) FILTER (WHERE claimed) AS claimed
  FROM generate_series(1, 30, 3) AS n, claim_sync_run(:'org_a', 'xledger', date_trunc('hour', now()) - n * interval '1 hour', cold_start => n < 10);
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', date_trunc('hour', now()) - interval '1 hour', 1, 'failed', 'HTTP 500');
SET ROLE authenticated;
BEGIN;
SELECT count(*) AS rows, bool_and(o = s) AS same
  FROM (SELECT to_jsonb(r) - ARRAY['uptime', 'uptime_days', 'latency_days', 'checks'] FROM get_org_overview(:'org_a') AS r) AS x (o)
  FULL JOIN (SELECT to_jsonb(r) FROM get_org_health_status(:'org_a') AS r) AS y (s) ON o = s;
CREATE TEMP TABLE overview AS SELECT * FROM get_org_overview(:'org_a', 'Asia/Kolkata');
SELECT count(*) AS rows, bool_and(u ->> 'uptime_pct' IS NOT DISTINCT FROM r.uptime_pct::text AND u ->> 'coverage_pct' IS NOT DISTINCT FROM r.coverage_pct::text) AS same
  FROM overview AS o CROSS JOIN jsonb_array_elements(o.uptime) AS u
  LEFT JOIN LATERAL get_org_uptime(:'org_a', (u ->> 'days')::integer) AS r ON r.integration_type = o.integration_type;
SELECT integration_type, jsonb_agg(u -> 'days') AS days FROM overview, jsonb_array_elements(uptime) AS u WHERE u -> 'coverage_pct' <> 'null' GROUP BY 1 ORDER BY 1;
SELECT o.integration_type, o.uptime_days = (SELECT jsonb_agg(to_jsonb(r) ORDER BY day) FROM get_uptime_days(:'org_a', o.integration_type, 90, 'Asia/Kolkata') AS r) AS same_days,
       o.latency_days = (SELECT jsonb_agg(to_jsonb(r) ORDER BY day) FROM get_latency_days(:'org_a', o.integration_type) AS r) AS same_latencies,
       o.checks = (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY check_no), '[]') FROM get_health_trend(:'org_a', o.integration_type) AS r) AS same_checks,
       jsonb_array_length(uptime_days) AS days, jsonb_array_length(latency_days) AS latencies, jsonb_array_length(checks) AS checks
  FROM overview AS o ORDER BY o.integration_type;
SELECT integration_type, every, enabled, next_at > now() AND next_at <= now() + every AS next, now() - last_scheduled_for < '2 hours' AS last, last_outcome, last_error, late, missed > 0 AS missed, cold_starts
  FROM get_org_syncs(:'org_a');
SELECT late = (SELECT count(*) FROM get_sync_drift(:'org_a', h)) AS late, missed = (SELECT count(*) FROM get_missed_syncs(:'org_a', h)) AS missed,
       cold_starts = (SELECT count(*) FROM get_cold_starts(:'org_a', h)) AS cold
  FROM unnest(ARRAY[24, 48]) AS h, get_org_syncs(:'org_a', h) WHERE integration_type = 'xledger';
ROLLBACK;
-- another organisation, none, and what is no argument
SELECT count(*) FROM get_org_overview(:'org_b');
SELECT count(*) FROM get_org_syncs(:'org_b');
SELECT count(*) FROM get_org_overview(NULL);
SELECT count(*) FROM get_org_syncs(NULL);
SELECT t.error(format('SELECT get_org_overview(%L, %s)', :'org_a', z)) FROM unnest(ARRAY['NULL', '''Oslo''']) AS z;
SELECT t.error(format('SELECT get_org_syncs(%L, %s)', :'org_a', h)) FROM unnest(ARRAY['NULL', '0', '721']) AS h;
SELECT set_config('request.jwt.claims', '{', false);
SELECT t.error(format('SELECT get_org_overview(%L)', :'org_a'));
SELECT t.error(format('SELECT get_org_syncs(%L)', :'org_a'));
RESET ROLE;
TRUNCATE integration_health_status, integration_sync_schedules;

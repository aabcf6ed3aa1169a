-- Uptime is a share of time, as docs/uptime.md defines it. Each example records its checks and reads in one transaction, at
-- one now(), so that its figures are exact whenever it runs.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
CREATE FUNCTION pg_temp.check(status integration_health_state, before interval, org uuid DEFAULT '00000000-0000-0000-0000-00000000000a')
RETURNS bigint LANGUAGE sql AS $$ SELECT check_no FROM record_health_check(org, 'xledger', status, checked_at => now() - before) $$;
CREATE FUNCTION pg_temp.uptime(days integer DEFAULT 1) RETURNS TABLE (uptime_pct numeric, coverage_pct numeric, healthy_s bigint,
  degraded_s bigint, unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval) LANGUAGE sql AS $$
  SELECT uptime_pct, coverage_pct, healthy_s, degraded_s, unhealthy_s, unknown_s, planned_s, incidents, mttr
    FROM get_org_uptime('00000000-0000-0000-0000-00000000000a', days) WHERE integration_type = 'xledger' $$;
-- a pair that was never checked, and one on its first day: the time before its first check is no data
SELECT * FROM pg_temp.uptime();
BEGIN;
SELECT pg_temp.check('healthy', '6 hours');
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
SELECT integration_type, display_name, uptime_pct, coverage_pct FROM get_org_uptime(:'org_a', 1);
ROLLBACK;
-- a window that starts inside an outage
BEGIN;
SELECT pg_temp.check('healthy', '30 hours'), pg_temp.check('unhealthy', '26 hours'), pg_temp.check('unhealthy', '25 hours'), pg_temp.check('healthy', '18 hours');
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
SELECT * FROM pg_temp.uptime(2);
-- the cleanup has deleted what was before it
RESET ROLE;
DELETE FROM integration_health_transitions WHERE at < now() - interval '24 hours';
SELECT * FROM pg_temp.uptime();
-- and everything: the pair has its status since before the window
DELETE FROM integration_health_transitions;
SELECT * FROM pg_temp.uptime();
ROLLBACK;
-- an outage that goes on
BEGIN;
SELECT pg_temp.check('healthy', '24 hours'), pg_temp.check('unhealthy', '6 hours'), pg_temp.check('unhealthy', '5 hours');
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
ROLLBACK;
-- backoff: 4 of 85 checks fail, but they are far apart
BEGIN;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger', 'status', 'healthy', 'checked_at', now() - n * interval '15 minutes')))
  FROM generate_series(17, 96) AS n;
SELECT pg_temp.check('unhealthy', '4 hours'), pg_temp.check('unhealthy', '3:45'), pg_temp.check('unhealthy', '3:15'), pg_temp.check('unhealthy', '2:15'), pg_temp.check('healthy', '0:15');
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
SELECT integration_health_private.percentage(count(*) FILTER (WHERE status = 'healthy'), count(*)) AS of_checks FROM get_health_trend(:'org_a', 'xledger', 24);
ROLLBACK;
-- silence: the last status, until it is found and is unknown; checks that found unknown count as neither
BEGIN;
SELECT pg_temp.check('healthy', '10 hours');
SELECT * FROM pg_temp.uptime();
SELECT mark_stale_health();
SELECT * FROM pg_temp.uptime();
ROLLBACK;
BEGIN;
SELECT pg_temp.check('healthy', '10 hours'), pg_temp.check('unknown', '2 hours');
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
ROLLBACK;
-- degraded is up
BEGIN;
SELECT pg_temp.check('healthy', '24 hours'), pg_temp.check('degraded', '12 hours'), pg_temp.check('unhealthy', '6 hours');
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
ROLLBACK;
-- a second is not nothing
BEGIN;
SELECT pg_temp.check('healthy', '24 hours'), pg_temp.check('unhealthy', '1 hour'), pg_temp.check('healthy', '00:59:59');
SELECT * FROM pg_temp.uptime();
ROLLBACK;
SELECT integration_health_private.percentage(29999, 30000), integration_health_private.percentage(1e24 - 1, 1e24), integration_health_private.percentage(7, 7),
       integration_health_private.percentage(0, 7), integration_health_private.percentage(0, 0), integration_health_private.percentage(NULL, 1);
-- maintenance over part of an outage; windows that overlap, or lie ahead, count once, or not yet
BEGIN;
SELECT pg_temp.check('healthy', '24 hours'), pg_temp.check('unhealthy', '4 hours'), pg_temp.check('healthy', '1 hour');
SELECT set_maintenance(:'org_a', 'xledger', now() - interval '3 hours', now() - interval '2 hours', 'new certificate') IS NOT NULL AS planned;
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
SET LOCAL ROLE service_role;
SELECT set_maintenance(:'org_a', NULL, now() - interval '150 minutes', now() - interval '2 hours', 'the same') IS NOT NULL AS planned,
       set_maintenance(NULL, 'xledger', now() - interval '2 hours', now() - interval '1 hour', 'the rest') IS NOT NULL AS planned,
       set_maintenance(NULL, NULL, now(), now() + interval '1 hour', 'ahead') IS NOT NULL AS planned,
       set_maintenance(:'org_a', 'dynamics', now() - interval '20 hours', now(), 'another type') IS NOT NULL AS planned,
       set_maintenance(:'org_b', NULL, now() - interval '20 hours', now(), 'another organisation') IS NOT NULL AS planned;
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
SET LOCAL ROLE service_role;
SELECT set_maintenance(NULL, NULL, now() - interval '2 days', now() + interval '1 hour', 'all of it') IS NOT NULL AS planned;
SET LOCAL ROLE authenticated;
SELECT * FROM pg_temp.uptime();
SELECT * FROM pg_temp.uptime(4);
ROLLBACK;
-- a check of the future counts from its recording, a late one not at all
BEGIN;
SELECT pg_temp.check('healthy', '6 hours'), pg_temp.check('unhealthy', '-1 day'), pg_temp.check('unhealthy', '3 hours');
SELECT * FROM pg_temp.uptime();
ROLLBACK;
-- a pair that was deleted, and put back with its transitions
BEGIN;
SELECT pg_temp.check('healthy', '12 hours'), pg_temp.check('unhealthy', '6 hours');
RESET ROLE;
CREATE TEMPORARY TABLE saved ON COMMIT DROP AS SELECT * FROM integration_health_status;
CREATE TEMPORARY TABLE saved_log ON COMMIT DROP AS SELECT * FROM integration_health_transitions;
DELETE FROM integration_health_status;
SELECT * FROM pg_temp.uptime();
INSERT INTO integration_health_status SELECT * FROM saved;
INSERT INTO integration_health_transitions SELECT * FROM saved_log;
SELECT * FROM pg_temp.uptime();
ROLLBACK;
-- days, for bars. Those that are over do not depend on the hour; 0 is today
CREATE FUNCTION pg_temp.at(day integer, hour text) RETURNS timestamptz LANGUAGE sql AS $$
  SELECT (((now() AT TIME ZONE 'UTC')::date + day) || ' ' || hour || 'Z')::timestamptz $$;
CREATE FUNCTION pg_temp.days(type text, days integer, time_zone text DEFAULT 'UTC') RETURNS TABLE (day integer, uptime_pct numeric, coverage_pct numeric,
  worst integration_health_state) LANGUAGE sql AS $$
  SELECT d.day - (now() AT TIME ZONE 'UTC')::date, d.uptime_pct, d.coverage_pct, d.worst
    FROM get_uptime_days('00000000-0000-0000-0000-00000000000a', type, days, time_zone) AS d $$;
BEGIN;
SELECT count(record_health_check(:'org_a', c.type, c.status::integration_health_state, checked_at => pg_temp.at(c.day, c.hour)))
  FROM (VALUES ('xledger', -3, '12:00', 'healthy'), ('xledger', -2, '22:00', 'unhealthy'), ('xledger', -1, '02:00', 'healthy'),
               ('dynamics', -6, '00:00', 'healthy'), ('dynamics', -5, '12:00', 'degraded'), ('dynamics', -5, '18:00', 'unknown'),
               ('dynamics', -3, '00:00', 'healthy'), ('dynamics', -1, '00:00', 'unhealthy')) AS c (type, day, hour, status);
SELECT set_maintenance(:'org_a', 'dynamics', pg_temp.at(-2, '00:00'), pg_temp.at(-1, '18:00'), 'move') IS NOT NULL AS planned;
SET LOCAL ROLE authenticated;
-- an outage over midnight
SELECT * FROM pg_temp.days('xledger', 5);
-- is all on one day elsewhere
SELECT * FROM pg_temp.days('xledger', 4, 'Asia/Kolkata') WHERE day IN (-2, -1);
-- no data, the worst of a day, nothing but unknown, nothing but maintenance
SELECT * FROM pg_temp.days('dynamics', 8);
SELECT count(*), min(day), max(day), count(uptime_pct) FROM pg_temp.days('xledger', 90);
SELECT count(*), count(DISTINCT day) FROM get_uptime_days(:'org_a', 'xledger');
-- nobody else's, and no type that is not there
SELECT count(*) FROM get_uptime_days(:'org_b', 'xledger');
SELECT count(*) FROM get_uptime_days(NULL, NULL);
SELECT count(*) FROM get_uptime_days(:'org_a', 'moon');
ROLLBACK;
-- the days on which the clocks change have 23 and 25 hours
BEGIN;
RESET ROLE;
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, recorded_at, check_no)
SELECT :'org_a', 'xledger', 'healthy', '2025-11-01Z', '2025-10-26 10:00Z', 0, '2025-11-01Z', 9;
INSERT INTO integration_health_transitions (org_id, integration_type, check_no, at, from_status, to_status)
SELECT :'org_a', 'xledger', t.* FROM (VALUES
  (1, '2025-03-29 11:00Z'::timestamptz, NULL::integration_health_state, 'healthy'::integration_health_state), (2, '2025-03-30 00:00Z', 'healthy', 'unhealthy'),
  (3, '2025-03-30 04:36Z', 'unhealthy', 'healthy'), (4, '2025-10-26 00:00Z', 'healthy', 'unhealthy'), (5, '2025-10-26 05:00Z', 'unhealthy', 'healthy')) AS t;
SELECT * FROM integration_health_private.uptime_days(:'org_a', 'xledger', 3, 'Europe/Oslo', '2025-03-31 22:00Z');
SELECT * FROM integration_health_private.uptime_days(:'org_a', 'xledger', 3, 'Europe/Oslo', '2025-10-27 23:00Z');
SELECT * FROM integration_health_private.uptime_days(:'org_a', 'xledger', 2, 'UTC', '2025-10-27 12:00Z');
SELECT * FROM integration_health_private.uptime_days(:'org_a', 'xledger', 1, 'UTC', '2025-10-27 00:00Z');
ROLLBACK;
-- all organisations: sums over the pairs, with the maintenance of all and that of one
CREATE FUNCTION pg_temp.sums(orgs uuid[]) RETURNS TABLE (integration_type text, healthy_s numeric, degraded_s numeric, unhealthy_s numeric, unknown_s numeric,
  planned_s numeric, incidents numeric) LANGUAGE sql AS $$
  SELECT u.integration_type, sum(u.healthy_s), sum(u.degraded_s), sum(u.unhealthy_s), sum(u.unknown_s), sum(u.planned_s), sum(u.incidents)
    FROM unnest(orgs) AS org CROSS JOIN LATERAL get_org_uptime(org, 1) AS u
   WHERE EXISTS (SELECT FROM integration_health_status AS s WHERE s.org_id = org AND s.integration_type = u.integration_type) GROUP BY 1 $$;
BEGIN;
SELECT set_config('request.jwt.claims', '{"app_metadata": {"role": "global_admin"}}', true) IS NOT NULL AS signed_in;
SET LOCAL ROLE authenticated;
SELECT * FROM get_global_uptime(1);
SET LOCAL ROLE service_role;
SELECT pg_temp.check('healthy', '30 hours'), pg_temp.check('unhealthy', '4 hours'), pg_temp.check('unhealthy', '210 minutes'), pg_temp.check('healthy', '1 hour'),
       pg_temp.check('degraded', '40 hours', :'org_b'), pg_temp.check('healthy', '12 hours', :'org_b'),
       pg_temp.check('healthy', '50 hours', '00000000-0000-0000-0000-00000000000c'),
       pg_temp.check('healthy', '6 hours', '00000000-0000-0000-0000-00000000000d'), pg_temp.check('unknown', '3 hours', '00000000-0000-0000-0000-00000000000d');
SET LOCAL ROLE authenticated;
SELECT * FROM get_global_uptime(1) WHERE integration_type = 'xledger';
SET LOCAL ROLE service_role;
-- of the type, twice over an hour of the outage; of two pairs, over some of the same
SELECT set_maintenance(NULL, 'xledger', now() - interval '3 hours', now() - interval '2 hours', 'theirs') IS NOT NULL AS planned,
       set_maintenance(NULL, NULL, now() - interval '150 minutes', now() - interval '2 hours', 'all') IS NOT NULL AS planned,
       set_maintenance(NULL, NULL, now() - interval '30 hours', now() - interval '23 hours', 'all') IS NOT NULL AS planned;
SET LOCAL ROLE authenticated;
SELECT * FROM get_global_uptime(1) WHERE integration_type = 'xledger';
SET LOCAL ROLE service_role;
SELECT set_maintenance(:'org_a', 'xledger', now() - interval '150 minutes', now() - interval '90 minutes', 'ours') IS NOT NULL AS planned,
       set_maintenance(:'org_b', NULL, now() - interval '14 hours', now() - interval '11 hours', 'ours') IS NOT NULL AS planned,
       set_maintenance(:'org_b', 'xledger', now() - interval '13 hours', now() - interval '10 hours', 'ours') IS NOT NULL AS planned,
       set_maintenance(gen_random_uuid(), NULL, now() - interval '14 hours', now() - interval '11 hours', 'nobody') IS NOT NULL AS planned;
SELECT * FROM pg_temp.sums(ARRAY(SELECT DISTINCT org_id FROM integration_health_status));
SET LOCAL ROLE authenticated;
SELECT * FROM get_global_uptime(1) WHERE integration_type = 'xledger';
SELECT count(*) FROM get_global_uptime();
-- a pair that goes takes its time along
SET LOCAL ROLE service_role;
DELETE FROM integration_health_status WHERE org_id = :'org_a';
SET LOCAL ROLE authenticated;
SELECT * FROM get_global_uptime(1) WHERE integration_type = 'xledger';
ROLLBACK;
-- latencies of days: of checks that succeeded, from the ring for the day of the last check
BEGIN;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger', 'status', c.status, 'latency_ms', c.latency_ms,
         'checked_at', pg_temp.at(c.day, '00:00') + n * interval '10 minutes')))
  FROM (SELECT -4, n, CASE WHEN n % 10 = 0 THEN 'unhealthy' ELSE 'healthy' END, CASE WHEN n % 10 = 0 THEN 30000 ELSE n END FROM generate_series(1, 40) AS n
        UNION ALL VALUES (-2, 1, 'healthy', 100), (-2, 2, 'degraded', 900), (-2, 3, 'unhealthy', 30000), (-1, 1, 'unhealthy', NULL)) AS c (day, n, status, latency_ms);
SET LOCAL ROLE authenticated;
SELECT day - (now() AT TIME ZONE 'UTC')::date AS day, checks, p50_ms, p95_ms, max_ms FROM get_latency_days(:'org_a', 'xledger', 6);
SET LOCAL ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy', 7);
SET LOCAL ROLE authenticated;
SELECT day - (now() AT TIME ZONE 'UTC')::date AS day, checks, p50_ms, p95_ms, max_ms FROM get_latency_days(:'org_a', 'xledger', 3);
SELECT count(*), count(checks), min(day) = (now() AT TIME ZONE 'UTC')::date - 89 AS from_then FROM get_latency_days(:'org_a', 'xledger');
SELECT count(*), count(checks) FROM get_latency_days(:'org_a', 'dynamics');
SELECT count(*) FROM get_latency_days(:'org_a', 'moon');
SELECT count(*) FROM get_latency_days(:'org_b', 'xledger');
ROLLBACK;
-- errors come first, whatever there is to see
SET ROLE authenticated;
SELECT count(*) FROM get_org_uptime(:'org_b');
SELECT count(*) FROM get_org_uptime(NULL);
SELECT c, t.error(c) FROM unnest('{0,91,"NULL"}'::text[]) AS days, unnest(ARRAY[
  'SELECT get_org_uptime(''00000000-0000-0000-0000-00000000000b'', %s)', 'SELECT get_uptime_days(NULL, NULL, %s)', 'SELECT get_latency_days(NULL, NULL, %s)']) AS f,
  format(f, days) AS c;
SELECT t.error(format('SELECT get_uptime_days(NULL, NULL, 1, %L)', zone)) FROM unnest('{Europe/Oslo,europe/oslo,CET-1,+02,"",NULL}'::text[]) AS zone;
SELECT t.error('SELECT get_global_uptime()');
SELECT set_config('request.jwt.claims', '{"org_id": "no"}', false) IS NOT NULL AS signed_in;
SELECT t.error(c) FROM unnest(ARRAY['SELECT get_org_uptime(NULL, 0)', 'SELECT get_uptime_days(NULL, NULL, 0, ''x'')', 'SELECT get_latency_days(NULL, NULL, 0)',
  'SELECT get_global_uptime(0)']) AS c;
SELECT set_config('request.jwt.claims', '{"app_metadata": {"role": "global_admin"}}', false) IS NOT NULL AS signed_in;
SELECT t.error(format('SELECT get_global_uptime(%s)', days)) FROM unnest('{0,91,"NULL"}'::text[]) AS days;
RESET request.jwt.claims;
SELECT count(*) FROM get_org_uptime(:'org_a');
SET ROLE service_role;
SELECT t.error('SELECT get_global_uptime()');
SET ROLE anon;
SELECT t.error(c) FROM unnest(ARRAY['SELECT get_org_uptime(NULL)', 'SELECT get_uptime_days(NULL, NULL)', 'SELECT get_latency_days(NULL, NULL)', 'SELECT get_global_uptime()']) AS c;
RESET ROLE;
SELECT * FROM t.violations();

-- Planned windows: their alerts wait, and what is still broken at the end alerts then. One outage of a type is one alert.
\i test/fixtures/preamble.sql
CREATE FUNCTION t.pass(minutes integer) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  UPDATE integration_alerts SET due_at = due_at - minutes * interval '1 minute' $$;
CREATE VIEW pg_temp.outbox AS
  SELECT kind, right(org_id::text, 2) AS org, integration_type, claimed_at IS NOT NULL AS claimed FROM integration_alerts
   ORDER BY created_at, kind, org_id;
GRANT SELECT ON pg_temp.outbox TO service_role;
SET ROLE service_role;
-- of a pair
SELECT set_maintenance(:'org_a', 'xledger', now() - interval '1 hour', now() + interval '1 hour', 'new certificate') AS window_a \gset
SELECT record_health_check(org, 'xledger', 'unhealthy', cause => 'auth') IS NOT NULL AS recorded FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS org;
SELECT integration_health_watch();
TABLE pg_temp.outbox;
SELECT right(org_id::text, 1) AS org, alerted_at IS NOT NULL AS alerted FROM integration_incidents ORDER BY org_id;
SELECT end_maintenance(:'window_a'), end_maintenance(:'window_a');
SELECT integration_health_watch();
TABLE pg_temp.outbox;
-- resolved in its time: nobody is told
SELECT set_maintenance(:'org_a', NULL, now() - interval '1 hour', now() + interval '1 hour', 'move') IS NOT NULL AS planned;
SELECT record_health_check(:'org_a', 'dynamics', 'unhealthy', cause => 'connect') IS NOT NULL AS recorded,
       record_health_check(:'org_a', 'dynamics', 'unhealthy', cause => 'connect') IS NOT NULL AS recorded,
       record_health_check(:'org_a', 'dynamics', 'healthy') IS NOT NULL AS recorded;
SELECT count(*) FROM integration_incidents WHERE integration_type = 'dynamics';
SELECT count(*) FROM integration_alerts WHERE integration_type = 'dynamics';
-- what the window is for, and who may see it
SELECT set_maintenance(NULL, 'dynamics', now() + interval '1 day', now() + interval '25 hours', 'Microsoft''s own') AS window_all \gset
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_b'), false) IS NOT NULL AS signed_in;
SELECT integration_type, all_organisations, is_active, reason FROM get_maintenance(:'org_b');
SELECT count(*) FROM get_maintenance(:'org_a');
SELECT org_id, integration_type, reason FROM integration_maintenance;
SELECT t.error(c) FROM unnest(ARRAY['SELECT get_maintenance(gen_random_uuid(), 0)', 'SELECT get_global_maintenance()',
  format('SELECT set_maintenance(%L, NULL, now(), now() + ''1 hour'', ''mine'')', :'org_b'), format('SELECT end_maintenance(%L)', :'window_all'),
  'DELETE FROM integration_maintenance']) AS c;
SELECT set_config('request.jwt.claims', '{"app_metadata": {"role": "global_admin"}, "sub": "root"}', false) IS NOT NULL AS signed_in;
SELECT right(org_id::text, 1) AS org, integration_type, is_active, reason, created_by FROM get_global_maintenance();
SELECT set_maintenance(NULL, NULL, now() - interval '2 hours', now() - interval '1 hour', 'an hour ago') IS NOT NULL AS planned;
SELECT end_maintenance(:'window_all'), created_by FROM get_global_maintenance() WHERE reason = 'an hour ago';
SELECT t.error(c) FROM unnest(ARRAY[
  'SELECT set_maintenance(NULL, ''moon'', now(), now() + ''1 hour'', ''x'')', 'SELECT set_maintenance(NULL, NULL, now(), now(), ''x'')',
  'SELECT set_maintenance(NULL, NULL, now(), now() + ''367 days'', ''x'')', 'SELECT set_maintenance(NULL, NULL, now(), ''infinity'', ''x'')',
  'SELECT set_maintenance(NULL, NULL, ''-infinity'', now(), ''x'')', 'SELECT set_maintenance(NULL, NULL, NULL, now(), ''x'')',
  'SELECT set_maintenance(NULL, NULL, now(), now() + ''1 hour'', NULL)', 'SELECT set_maintenance(NULL, NULL, now(), now() + ''1 hour'', '''')',
  'SELECT set_maintenance(NULL, NULL, now(), now() + ''1 hour'', repeat(''x'', 201))', 'SELECT end_maintenance(gen_random_uuid())', 'SELECT end_maintenance(NULL)']) AS c;
RESET request.jwt.claims;
-- one outage, one alert: 12 of 20 pairs of a type fail
SET ROLE service_role;
DELETE FROM integration_health_status;
RESET ROLE;
TRUNCATE integration_maintenance;
SET ROLE service_role;
CREATE FUNCTION pg_temp.check(from_no integer, to_no integer, status integration_health_state) RETURNS integer LANGUAGE sql AS $$
  SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', format('00000000-0000-0000-0000-0000000000%s', lpad(n::text, 2, '0')),
           'integration_type', 'xledger', 'status', status, 'cause', 'server'))) FROM generate_series(from_no, to_no) AS n $$;
SELECT pg_temp.check(1, 20, 'healthy'), pg_temp.check(1, 12, 'unhealthy');
SELECT integration_health_watch();
SELECT count(*) FROM integration_incidents;
-- the first is confirmed, and most others have failed: the type is down
SELECT pg_temp.check(1, 3, 'unhealthy');
SELECT count(*) FROM integration_alerts;
SELECT kind, org_id, integration_type, payload -> 'failures' AS failures, payload -> 'cause' AS cause FROM claim_alerts();
TABLE pg_temp.outbox;
SELECT pg_temp.check(4, 12, 'unhealthy'), integration_health_watch();
SELECT count(*), count(alerted_at) AS alerted FROM integration_incidents WHERE org_id IS NOT NULL;
SELECT count(*) FROM integration_alerts WHERE claimed_at IS NULL;
-- most recover: it ends when less than half of a fifth, and fewer than 5, fail; who still fails is told of then
SELECT pg_temp.check(1, 7, 'healthy'), integration_health_watch();
SELECT count(*) FROM integration_incidents WHERE org_id IS NULL AND resolved_at IS NULL;
SELECT pg_temp.check(8, 10, 'healthy'), integration_health_watch();
TABLE pg_temp.outbox;
SELECT kind, right(org_id::text, 2) AS org FROM claim_alerts() ORDER BY org_id;
SELECT t.pass(1);
SELECT pg_temp.check(12, 12, 'healthy');
SELECT finish_alert(alert_id, attempt, true) FROM integration_alerts WHERE claimed_at IS NOT NULL;
SELECT kind, right(org_id::text, 2) AS org FROM claim_alerts() ORDER BY org_id;
-- nor is a type told of whose maintenance it is
SELECT set_maintenance(NULL, 'dynamics', now() - interval '1 hour', now() + interval '1 hour', 'theirs') AS theirs \gset
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', gen_random_uuid(), 'integration_type', 'dynamics', 'status', 'unhealthy', 'cause', 'auth'))) FROM generate_series(1, 12);
SELECT integration_health_watch(), count(*) FROM integration_incidents WHERE org_id IS NULL AND integration_type = 'dynamics' AND resolved_at IS NULL AND alerted_at IS NULL;
SELECT count(*) FROM integration_incidents WHERE org_id IS NULL AND integration_type = 'dynamics' AND resolved_at IS NULL AND alerted_at IS NULL;
SELECT end_maintenance(:'theirs'), integration_health_watch();
SELECT kind, org_id FROM claim_alerts() WHERE integration_type = 'dynamics';
RESET ROLE;
SELECT * FROM t.violations();
TRUNCATE integration_health_status;
TRUNCATE integration_maintenance;
DROP FUNCTION t.pass(integer);

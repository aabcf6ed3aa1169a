-- An outage of a pair that is confirmed is an incident: one, from the first failing check to the first that succeeds.
\i test/fixtures/preamble.sql
SET ROLE service_role;
CREATE FUNCTION pg_temp.check(at text, status integration_health_state, cause integration_failure_cause DEFAULT NULL,
                              org uuid DEFAULT '00000000-0000-0000-0000-00000000000a') RETURNS bigint LANGUAGE sql AS $$
  SELECT check_no FROM record_health_check(org, 'xledger', status, cause => cause, checked_at => ('2026-01-01 ' || at || 'Z')::timestamptz) $$;
CREATE VIEW pg_temp.incidents AS
  SELECT right(org_id::text, 1) AS org, cause, to_char(started_at, 'HH24:MI') AS started, to_char(confirmed_at, 'HH24:MI') AS confirmed,
         to_char(resolved_at, 'HH24:MI') AS resolved, failures, alerted_at IS NOT NULL AS alerted
    FROM integration_incidents ORDER BY org_id, started_at;
-- one failure is none, the second one confirms it, the others are counted
SELECT pg_temp.check('00:00', 'healthy'), pg_temp.check('00:15', 'unhealthy');
TABLE pg_temp.incidents;
SELECT pg_temp.check('00:30', 'unhealthy', 'dns'), pg_temp.check('00:45', 'unhealthy', 'tls');
TABLE pg_temp.incidents;
-- unknown neither resolves it nor opens one
SELECT pg_temp.check('01:00', 'unknown'), pg_temp.check('01:15', 'unhealthy');
TABLE pg_temp.incidents;
SELECT pg_temp.check('01:30', 'degraded');
TABLE pg_temp.incidents;
SELECT pg_temp.check('01:45', 'unknown'), pg_temp.check('02:00', 'unknown'), pg_temp.check('02:15', 'healthy');
-- failures with unknown checks between them are in a row: it began with the first
SELECT pg_temp.check('03:00', 'unhealthy'), pg_temp.check('03:15', 'unknown'), pg_temp.check('03:30', 'unhealthy');
SELECT pg_temp.check('04:00', 'healthy');
-- a wrong password is confirmed at once, also by the first check of a pair
SELECT pg_temp.check('05:00', 'unhealthy', 'auth'), pg_temp.check('05:15', 'healthy');
SELECT pg_temp.check('05:00', 'unhealthy', 'auth', :'org_b');
-- late results change nothing
SELECT pg_temp.check('05:05', 'unhealthy'), pg_temp.check('05:10', 'unhealthy'), pg_temp.check('04:50', 'healthy', NULL, :'org_b');
TABLE pg_temp.incidents;
-- the type's thresholds
UPDATE integration_types SET failure_threshold = 3 WHERE integration_type = 'xledger';
SELECT pg_temp.check('06:00', 'unhealthy'), pg_temp.check('06:15', 'unhealthy');
SELECT count(*) FROM integration_incidents WHERE resolved_at IS NULL AND org_id = :'org_a';
-- lowered: what has failed often enough is one at its next failure
UPDATE integration_types SET failure_threshold = 1 WHERE integration_type = 'xledger';
SELECT pg_temp.check('06:30', 'unhealthy');
SELECT * FROM pg_temp.incidents WHERE resolved IS NULL;
SELECT t.error('UPDATE integration_types SET failure_threshold = 0'), t.error('UPDATE integration_types SET success_threshold = 21');
-- two successes in a row, of which the watch knows; unknown does not count
UPDATE integration_types SET success_threshold = 2, failure_threshold = 2 WHERE integration_type = 'xledger';
SELECT pg_temp.check('06:45', 'healthy'), integration_health_watch() IS NOT NULL AS watched;
SELECT pg_temp.check('07:00', 'unhealthy'), pg_temp.check('07:15', 'healthy'), pg_temp.check('07:30', 'unknown'), integration_health_watch() IS NOT NULL AS watched;
SELECT * FROM pg_temp.incidents WHERE resolved IS NULL;
SELECT pg_temp.check('07:45', 'degraded'), pg_temp.check('08:00', 'healthy'), integration_health_watch() IS NOT NULL AS watched;
SELECT * FROM pg_temp.incidents WHERE org = 'a' AND resolved > '06';
UPDATE integration_types SET success_threshold = 1 WHERE integration_type = 'xledger';
-- nobody writes them but the extension
SELECT t.error(c) FROM unnest(ARRAY[
  'INSERT INTO integration_incidents (incident_id, integration_type, started_at, confirmed_at, failures) VALUES (gen_random_uuid(), ''xledger'', now(), now(), 1)',
  'UPDATE integration_incidents SET resolved_at = now()', 'DELETE FROM integration_incidents']) AS c;
-- members see and acknowledge their own, global admins all
SELECT incident_id AS of_a FROM integration_incidents WHERE org_id = :'org_a' AND started_at = '2026-01-01 05:00Z' \gset
SELECT incident_id AS of_b FROM integration_incidents WHERE org_id = :'org_b' \gset
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', jsonb_set(t.claims(:'org_b')::jsonb, '{sub}', '"ann"')::text, false) IS NOT NULL AS signed_in;
SELECT DISTINCT right(org_id::text, 1) AS org FROM integration_incidents;
SELECT t.error('SELECT ctid FROM integration_incidents');
SELECT integration_type, display_name, cause, started_at, confirmed_at, resolved_at, failures, acknowledged_by, note FROM get_org_incidents(:'org_b');
SELECT count(*) FROM get_org_incidents(:'org_a');
SELECT acknowledge_incident(:'of_b', 'called them') IS NOT NULL AS acknowledged;
SELECT acknowledged_at IS NOT NULL AS acknowledged, acknowledged_by, note FROM get_org_incidents(:'org_b');
SELECT t.error(format('SELECT acknowledge_incident(%L)', incident)) FROM unnest(ARRAY[:'of_a', gen_random_uuid()::text, NULL]) AS incident;
SELECT t.error(format('SELECT acknowledge_incident(%L, %L)', :'of_b', repeat('x', 2001)));
SELECT t.error('SELECT get_global_incidents()'), t.error(format('SELECT get_org_incidents(%L, %s)', :'org_b', days))
  FROM unnest(ARRAY['0', '91', 'NULL']) AS days;
SELECT set_config('request.jwt.claims', '{"app_metadata": {"role": "global_admin"}, "sub": "root"}', false) IS NOT NULL AS signed_in;
SELECT right(org_id::text, 1) AS org, cause, resolved_at IS NULL AS open FROM get_global_incidents(90) WHERE started_at >= '2026-01-01 05:00Z' AND started_at < '2026-01-01 06:00Z';
SELECT acknowledge_incident(:'of_a') IS NOT NULL AS acknowledged;
SELECT t.error(format('SELECT acknowledge_incident(%L)', gen_random_uuid()));
SELECT set_config('request.jwt.claims', '{"org_id": "no"}', false) IS NOT NULL AS signed_in;
SELECT t.error(format('SELECT get_org_incidents(%L)', :'org_b'));
SELECT t.error(format('SELECT acknowledge_incident(%L)', :'of_b'));
RESET request.jwt.claims;
SELECT count(*) FROM integration_incidents;
-- the writer acknowledges without claims, and what was made anew
SET ROLE service_role;
SELECT acknowledge_incident(:'of_a', 'job') IS NOT NULL AS acknowledged;
SELECT acknowledged_by, note FROM integration_incidents WHERE incident_id = :'of_a';
-- they go with their pair
DELETE FROM integration_health_status WHERE org_id = :'org_a';
SELECT DISTINCT org FROM pg_temp.incidents;
RESET ROLE;
SELECT * FROM t.violations();
-- after 90 days the cleanup takes what is resolved
UPDATE integration_incidents SET started_at = now() - interval '92 days', confirmed_at = now() - interval '92 days';
SELECT integration_health_cleanup() > 0 AS deleted;
SELECT count(*) FROM integration_incidents;
UPDATE integration_incidents SET resolved_at = now() - interval '91 days';
SELECT integration_health_cleanup() > 0 AS deleted;
SELECT count(*) FROM integration_incidents;
UPDATE integration_types SET failure_threshold = DEFAULT, success_threshold = DEFAULT;

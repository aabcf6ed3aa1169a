-- Metrics: figures of all organisations together, by type, for who may see them, as rows and as a text that Prometheus reads.
\i test/fixtures/preamble.sql
TRUNCATE integration_health_private.kept_samples, integration_alerts;
SET ROLE service_role;
INSERT INTO integration_types (integration_type, display_name, check_interval) VALUES ('odd', 'Odd', '1 hour');
CREATE VIEW pg_temp.samples AS
  SELECT metric, labels - 'version' - 'edition' AS labels, value FROM get_health_metric_samples()
   WHERE metric <> 'integration_health_samples_timestamp_seconds' AND COALESCE(labels ->> 'integration_type', 'xledger') IN ('xledger', 'odd');
-- before the first run of a job: what is read at each scrape
SELECT count(record_health_check(o, 'xledger', s)) AS checks
  FROM (VALUES (:'org_a'::uuid, 'healthy'::integration_health_state), (:'org_b', 'unhealthy'), (gen_random_uuid(), 'unhealthy'), (gen_random_uuid(), 'unknown')) AS c (o, s);
SELECT count(record_health_check(:'org_b', 'xledger', 'unhealthy', cause => 'dns')) AS checks;
TABLE pg_temp.samples;
-- how long the next check has been due; not of a disabled monitor, or of a passive type
SELECT count(set_monitor(o, 'xledger')) AS monitors FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o;
CREATE VIEW pg_temp.due AS
  SELECT value >= 600 AND value < 660 AS ten_minutes, value = 0 AS none FROM pg_temp.samples WHERE metric = 'integration_health_check_oldest_due_age_seconds';
TABLE pg_temp.due;
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '10 minutes' WHERE org_id = :'org_b';
SET ROLE service_role;
TABLE pg_temp.due;
SELECT count(set_monitor(:'org_b', 'xledger', false)) AS monitors;
TABLE pg_temp.due;
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'xledger';
TABLE pg_temp.due;
SELECT * FROM pg_temp.samples WHERE metric ~ 'passive|resume' AND labels ->> 'integration_type' = 'xledger';
UPDATE integration_types SET passive_until = '2126-01-01Z' WHERE integration_type = 'xledger';
SELECT * FROM pg_temp.samples WHERE metric ~ 'passive|resume' AND labels ->> 'integration_type' = 'xledger';
UPDATE integration_types SET monitoring_mode = 'active', passive_until = NULL WHERE integration_type = 'xledger';
-- the watch measures incidents, alerts and syncs
SELECT integration_health_watch() IS NOT NULL AS watched;
CREATE VIEW pg_temp.kept AS SELECT * FROM pg_temp.samples WHERE metric ~ 'incidents|alerts|overdue|missed|late$|drift' AND labels ->> 'integration_type' IS DISTINCT FROM 'odd';
TABLE pg_temp.kept;
SELECT metric, value > 0 AND value < 60 AS is_age FROM pg_temp.samples WHERE metric ~ 'pending_age';
-- a sync that nobody runs is overdue, and its periods of the last hour are missed
SELECT count(set_sync_schedule(:'org_a', 'xledger', '30 minutes', now() - interval '3 hours 10 minutes')) AS schedules;
RESET ROLE;
UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor;
-- the syncs are not measured again for fifty times as long as it took
SELECT pg_sleep_until(to_timestamp(max(value) FILTER (WHERE metric ~ 'measured_timestamp') + 50 * max(value) FILTER (WHERE metric ~ 'duration')))
  FROM integration_health_private.kept_samples \g /dev/null
SET ROLE service_role;
SELECT integration_health_watch() IS NOT NULL AS watched;
TABLE pg_temp.kept;
RESET ROLE;
UPDATE integration_health_private.kept_samples SET value = 100 WHERE metric ~ 'duration';
SET ROLE service_role;
SELECT scheduled_for AS period FROM get_due_syncs() \gset
SET client_min_messages = error;
SELECT claimed FROM claim_sync_run(:'org_a', 'xledger', :'period');
RESET client_min_messages;
SELECT integration_health_watch() IS NOT NULL AS watched;
SELECT * FROM pg_temp.kept WHERE metric ~ 'sync';
-- a run that is late is no longer overdue while it runs
RESET ROLE;
UPDATE integration_health_private.kept_samples SET value = 0 WHERE metric ~ 'duration';
SET ROLE service_role;
SELECT integration_health_watch() IS NOT NULL AS watched;
SELECT metric, CASE WHEN metric ~ 'seconds' THEN value >= 600 AND value < 660 ELSE NULL END AS ten_minutes, CASE WHEN metric !~ 'seconds' THEN value END AS value
  FROM pg_temp.kept WHERE metric ~ 'sync';
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', :'period', 1, 'succeeded');
-- what is over is 0, not gone; what was of a type that is gone is gone
SELECT count(record_health_check(:'org_b', 'xledger', 'healthy')) AS checks;
DELETE FROM integration_types WHERE display_name = 'Odd';
SELECT integration_health_watch() IS NOT NULL AS watched;
SELECT * FROM pg_temp.samples WHERE metric ~ 'incidents';
SELECT count(*) FROM get_health_metric_samples() WHERE labels ->> 'integration_type' ~ 'odd';
-- jobs, whoever runs them
SELECT labels ->> 'job_name' AS job_name, abs(value - extract(epoch FROM now())) < 60 AS just_now FROM pg_temp.samples WHERE metric ~ 'job';
SELECT integration_health_cleanup() IS NOT NULL AND integration_health_compact() IS NOT NULL AND mark_stale_health() IS NOT NULL AND dispatch_sync_warm_ups() IS NOT NULL AS ran;
SELECT labels ->> 'job_name' AS job_name, abs(value - extract(epoch FROM now())) < 60 AS just_now FROM pg_temp.samples WHERE metric ~ 'job';
-- above READ COMMITTED, where it could fail, nothing is noted
RESET ROLE;
TRUNCATE integration_health_private.kept_samples;
SET ROLE service_role;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT integration_health_watch() IS NOT NULL AS watched;
COMMIT;
SELECT * FROM pg_temp.samples WHERE metric ~ 'job|alerts';
-- as text
SELECT regexp_replace(l, 'version="[^"]*"|edition="[^"]*"|(?<=timestamp_seconds )[0-9.]+', '...', 'g') AS line
  FROM regexp_split_to_table(rtrim(get_health_metrics(), E'\n'), E'\n') WITH ORDINALITY AS x (l, n)
 WHERE l !~ 'integration_type=' OR l ~ '"xledger"' ORDER BY n;
SELECT labels ->> 'version' ~ '^[0-9]+[.][0-9]+$' AS is_version, labels ->> 'edition' IN ('c', 'trusted') AS is_edition
  FROM get_health_metric_samples() WHERE metric = 'integration_health_build_info';
SELECT value = extract(epoch FROM now())::double precision AS is_now FROM get_health_metric_samples() WHERE metric = 'integration_health_samples_timestamp_seconds';
-- who may see them
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT t.error(c) FROM unnest(ARRAY['SELECT get_health_metrics()', 'SELECT get_health_metric_samples()']) AS c;
SELECT set_config('request.jwt.claims', '{"app_metadata": {"role": "global_admin"}}', false) IS NOT NULL AS signed_in;
SELECT get_health_metrics() ~ '# EOF\n$' AS sees_all;
RESET request.jwt.claims;
RESET ROLE;
SELECT current_schema() AS home \gset
CREATE ROLE test_scraper;
GRANT USAGE ON SCHEMA :"home" TO test_scraper;
SET ROLE test_scraper;
SELECT t.error(c) FROM unnest(ARRAY['SELECT get_health_metrics()', 'SELECT get_health_metric_samples()']) AS c;
RESET ROLE;
SELECT grant_integration_health_metrics('test_scraper');
SET ROLE test_scraper;
SELECT get_health_metrics() ~ '# EOF\n$' AS sees_all;
SELECT count(*) > 0 AS sees_all FROM get_health_metric_samples();
-- and nothing else of the extension
RESET ROLE;
SELECT c.relname FROM pg_class AS c WHERE c.relnamespace IN (:'home'::regnamespace, 'integration_health_private'::regnamespace) AND c.relkind IN ('r', 'v')
   AND c.relname ~ '^integration_|_samples' AND (has_table_privilege('test_scraper', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_any_column_privilege('test_scraper', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'));
SELECT p.proname FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'integration_health')
 WHERE has_function_privilege('test_scraper', p.oid, 'EXECUTE') ORDER BY 1;
SELECT t.error(c) FROM unnest(ARRAY['SELECT grant_integration_health_metrics(NULL)', 'SELECT grant_integration_health_metrics(''nobody_at_all'')',
  'SELECT grant_integration_health_metrics(0::oid::regrole)']) AS c;
SET ROLE service_role;
SELECT t.error('SELECT grant_integration_health_metrics(''test_scraper'')');
RESET ROLE;
DROP OWNED BY test_scraper;
DROP ROLE test_scraper;
TRUNCATE integration_health_status, integration_alerts;

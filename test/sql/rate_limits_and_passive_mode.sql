-- A 429 puts its type into passive mode, once; in that mode syncs are checks; resuming puts it back.
\i test/fixtures/preamble.sql
CREATE VIEW t.types AS SELECT integration_type, monitoring_mode, passive_since IS NOT NULL AS since, passive_reason, passive_until - now() > interval '1 minute' AS later FROM integration_types WHERE integration_type <> 'other' ORDER BY 1;
GRANT SELECT ON t.types TO PUBLIC;
SET ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy', http_status => 200);
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'degraded', http_status => 503);
SELECT * FROM t.types;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'degraded', http_status => 429, error => 'secret of org a');
SELECT * FROM t.types;
SELECT passive_since AS was FROM integration_types WHERE integration_type = 'xledger' \gset
-- once: a second one changes nothing; other checks are still recorded
SELECT check_no FROM record_health_check(:'org_b', 'xledger', 'degraded', http_status => 429);
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy', http_status => 200);
SELECT passive_since = :'was' AS unchanged FROM integration_types WHERE integration_type = 'xledger';
-- back
SELECT integration_type, monitoring_mode, passive_since, passive_reason, passive_until FROM resume_active_monitoring('xledger');
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
SELECT t.error('SELECT resume_active_monitoring(NULL)');
SELECT t.error($$SELECT resume_active_monitoring('telepathy')$$);
-- the first check of a pair, an upsert, a late result (the system answers again since), and many at once
SELECT check_no FROM record_health_check('00000000-0000-0000-0000-00000000000c', 'xledger', 'degraded', http_status => 429);
SELECT * FROM t.types;
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'degraded', http_status => 429, checked_at => now() - interval '1 hour');
SELECT * FROM t.types;
INSERT INTO integration_health_status (org_id, integration_type, status, http_status) VALUES (:'org_a', 'xledger', 'degraded', 429), (:'org_a', 'dynamics', 'degraded', 429)
  ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, http_status = EXCLUDED.http_status;
SELECT * FROM t.types;
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
SELECT monitoring_mode FROM resume_active_monitoring('dynamics');
-- what is rolled back switches nothing
BEGIN;
SELECT check_no FROM record_health_check(:'org_b', 'xledger', 'degraded', http_status => 429);
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT check_no FROM record_health_check(:'org_b', 'xledger', 'degraded', http_status => 429);
ROLLBACK TO a;
SAVEPOINT b;
SELECT check_no FROM record_health_check(:'org_b', 'dynamics', 'degraded', http_status => 429);
RELEASE b;
COMMIT;
SELECT * FROM t.types;
SELECT monitoring_mode FROM resume_active_monitoring('dynamics');
SELECT t.error($$SELECT record_health_checks('[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "xledger", "status": "degraded", "http_status": 429}, {"org_id": "x"}]')$$);
SELECT * FROM t.types;
-- at every isolation level
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT check_no FROM record_health_check(:'org_b', 'dynamics', 'degraded', http_status => 429);
COMMIT;
SELECT * FROM t.types;
SELECT monitoring_mode FROM resume_active_monitoring('dynamics');
-- Retry-After
RESET ROLE;
CREATE FUNCTION t.limited(type text, retry_after text) RETURNS integer LANGUAGE sql AS $$
  SELECT record_health_checks(format('[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "%s", "status": "degraded", "http_status": 429%s}]', type, ', "retry_after": ' || retry_after)::jsonb)
$$;
SET ROLE service_role;
SELECT t.limited('xledger', '3600');
SELECT * FROM t.types;
SELECT round(extract(epoch FROM passive_until - now()), -2) AS seconds FROM integration_types WHERE integration_type = 'xledger';
SELECT t.limited('xledger', '10'), t.limited('xledger', 'null'), t.limited('xledger', NULL);
SELECT round(extract(epoch FROM passive_until - now()), -2) AS seconds FROM integration_types WHERE integration_type = 'xledger';
SELECT t.limited('xledger', '7200.0');
SELECT round(extract(epoch FROM passive_until - now()), -2) AS seconds FROM integration_types WHERE integration_type = 'xledger';
SELECT v, t.error(format('SELECT t.limited(%L, %L)', 'xledger', v)) FROM unnest(ARRAY['-1', '1.5', '"60"', '31536001', '1e400', 'true', '[]', '{}']) AS v;
SELECT record_health_checks('[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "dynamics", "status": "unhealthy", "http_status": 503, "retry_after": 60}]');
-- a type that was resumed is active at once, and its pairs are spread anew
SELECT count(set_monitor(o, 'xledger')) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o;
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '1 day';
SET ROLE service_role;
SELECT monitoring_mode, passive_until > now() AS waits FROM resume_active_monitoring('xledger');
SELECT bool_and(due_at >= now() AND due_at < clock_timestamp() + t.check_interval) AS spread FROM integration_monitors JOIN integration_types t USING (integration_type);
SELECT count(*) FROM claim_due_health_checks();
RESET ROLE;
UPDATE integration_types SET passive_until = NULL;
TRUNCATE integration_health_status, integration_monitors;
-- the end of a sync is a check in passive mode, and none in active mode
SET ROLE service_role;
SELECT count(set_sync_schedule(:'org_a', type, '1 day', now() - interval '1 hour' - interval '10 days', retry_backoff => '0')) FROM unnest(ARRAY['xledger', 'dynamics']) AS type;
RESET ROLE;
UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor;
SET ROLE service_role;
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'xledger';
SET client_min_messages = error;
SELECT r.integration_type, c.claimed, r.outcome FROM get_due_syncs() AS d, claim_sync_run(d.org_id, d.integration_type, d.scheduled_for) AS c,
  finish_sync_run(d.org_id, d.integration_type, d.scheduled_for, c.attempt, 'failed', 'no licence') AS r ORDER BY 1;
SELECT integration_type, status, error, latency_ms, http_status, consecutive_failures, check_no FROM integration_health_status;
-- the same report again: no second check
SELECT r.outcome FROM integration_sync_runs AS d, finish_sync_run(d.org_id, d.integration_type, d.scheduled_for, 1, 'failed', 'no licence') AS r WHERE d.integration_type = 'xledger';
SELECT r.outcome, r.attempt FROM get_due_syncs() AS d, claim_sync_run(d.org_id, d.integration_type, d.scheduled_for) AS c,
  finish_sync_run(d.org_id, d.integration_type, d.scheduled_for, c.attempt, 'succeeded') AS r ORDER BY 1;
SELECT integration_type, status, error, latency_ms, http_status, consecutive_failures, check_no FROM integration_health_status;
SELECT integration_type, status, error, check_no FROM integration_health_history ORDER BY check_no;
SELECT * FROM t.violations();
RESET client_min_messages;
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
-- the writer needs no right on the types
RESET ROLE;
SELECT current_schema() AS home \gset
CREATE ROLE test_recorder BYPASSRLS;
GRANT USAGE ON SCHEMA :"home" TO test_recorder;
GRANT SELECT, INSERT, UPDATE ON integration_health_status TO test_recorder;
SET ROLE test_recorder;
INSERT INTO integration_health_status (org_id, integration_type, status, http_status) VALUES (:'org_b', 'xledger', 'degraded', 429);
RESET ROLE;
SELECT * FROM t.types;
DROP OWNED BY test_recorder;
DROP ROLE test_recorder;
SET ROLE authenticated;
SELECT t.error($$SELECT resume_active_monitoring('xledger')$$);
RESET ROLE;
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
UPDATE integration_types SET passive_until = NULL;
DROP VIEW t.types;

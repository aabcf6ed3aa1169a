-- A site's database before pg_upgrade: pg_cron with a job of the site's, the extension in a schema of
-- its own, types edited and added, pairs of all ages, a column of the site's, its own readers; monitors and syncs in
-- every state, and a type that is passive.
CREATE EXTENSION pg_cron;
SELECT cron.schedule('site job', '0 5 * * 1', 'SELECT 1');
CREATE SCHEMA ih;
CREATE EXTENSION integration_health SCHEMA ih;
GRANT USAGE ON SCHEMA ih TO anon, authenticated, service_role;
SET search_path = ih;
ALTER TABLE integration_health_status ADD COLUMN dropped_by_site text;
ALTER TABLE integration_health_status ADD COLUMN site_note text DEFAULT 'none';
ALTER TABLE integration_health_status DROP COLUMN dropped_by_site;
ALTER TABLE integration_types ALTER COLUMN display_name SET STATISTICS 200;
CREATE INDEX site_index ON integration_health_status (integration_type);
CREATE ROLE site_reader;
GRANT SELECT (integration_type, display_name) ON integration_types TO site_reader;
SELECT FROM schedule_integration_health_jobs(stale_schedule => '*/7 * * * *');
SET ROLE service_role;
INSERT INTO integration_types (integration_type, display_name, check_interval) VALUES ('fortnox', 'Fortnox "AB"', '1 hour');
UPDATE integration_types SET display_name = 'Xledger (site)', check_interval = '45 minutes', max_backoff = '2 days'
 WHERE integration_type = 'xledger';
INSERT INTO integration_types (integration_type, display_name, check_interval) VALUES ('limited', 'Limited', '20 minutes'), ('synced', 'Synced', '15 minutes');
SELECT record_health_checks(jsonb_build_array(jsonb_build_object('org_id', lpad('8', 32, '0')::uuid, 'integration_type', 'limited',
         'status', 'unhealthy', 'http_status', 429, 'retry_after', 86400)));
-- Five monitors are due, of which two are handed out; one is disabled, one waits for its passive type.
SELECT set_monitor(lpad(org::text, 32, '0')::uuid, type, org <> 6) FROM generate_series(1, 6) org, unnest('{xledger,limited}'::text[]) type;
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '5 minutes';
SET ROLE service_role;
SELECT claim_due_health_checks(2);
-- Syncs of a day: 1 has succeeded, 2 has failed, 3 is running, nobody has run 4, 5 is disabled, of 6 an old run is cleaned up; all
-- workers are woken.
SELECT set_sync_schedule(lpad(org::text, 32, '0')::uuid, 'synced', '1 day', now() - interval '40 days 6 hours', 'Europe/Oslo', org <> 5,
         'https://worker.example.com/' || org, retry_backoff => '0') FROM generate_series(1, 6) org;
SELECT set_sync_schedule(lpad('7', 32, '0')::uuid, 'xledger', '1 mon', '2026-01-31 02:30Z');
RESET ROLE;
UPDATE integration_sync_schedules SET due_at = anchor, planned_since = anchor WHERE integration_type = 'synced';
SET ROLE service_role;
SET client_min_messages = error;
SELECT claim_sync_run(org_id, integration_type, integration_sync_last_period(every, anchor, time_zone, now()), org_id = lpad('3', 32, '0')::uuid, '1 day')
  FROM integration_sync_schedules WHERE org_id <= lpad('3', 32, '0')::uuid;
SELECT finish_sync_run(org_id, integration_type, scheduled_for, 1, CASE org_id WHEN lpad('1', 32, '0')::uuid THEN 'succeeded' ELSE 'failed' END::integration_sync_outcome, E'HTTP 500\n')
  FROM integration_sync_runs WHERE org_id <= lpad('2', 32, '0')::uuid;
SELECT claim_sync_run(org_id, integration_type, anchor) FROM integration_sync_schedules WHERE org_id = lpad('6', 32, '0')::uuid;
SELECT finish_sync_run(org_id, integration_type, anchor, 1, 'succeeded') FROM integration_sync_schedules WHERE org_id = lpad('6', 32, '0')::uuid;
RESET ROLE;
UPDATE integration_sync_runs SET finished_at = started_at - interval '35 days' WHERE org_id = lpad('6', 32, '0')::uuid;
SET ROLE service_role;
SELECT dispatch_sync_warm_ups('1 day');
SELECT integration_health_cleanup();
RESET client_min_messages;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', lpad(org::text, 32, '0')::uuid,
         'integration_type', type, 'status', (enum_range(NULL::integration_health_state))[(n * org) % 4 + 1],
         'latency_ms', n, 'http_status', 200, 'error', E'line\nof ' || n,
         'checked_at', '2026-01-01Z'::timestamptz + n * interval '15 minutes')))
  FROM generate_series(1, 130) n, generate_series(1, 20) org, unnest('{xledger,fortnox}'::text[]) type;
DELETE FROM integration_health_status WHERE org_id = lpad('7', 32, '0')::uuid;
SELECT record_health_check(lpad('8', 32, '0')::uuid, 'dynamics', 'unhealthy', 9000, 503, 'down');

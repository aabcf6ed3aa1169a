-- A site's database before pg_upgrade: pg_cron with a job of the site's, the extension in a schema of
-- its own, types edited and added, pairs of all ages, a column of the site's, its own readers.
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
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', lpad(org::text, 32, '0')::uuid,
         'integration_type', type, 'status', (enum_range(NULL::integration_health_state))[(n * org) % 4 + 1],
         'latency_ms', n, 'http_status', 200, 'error', E'line\nof ' || n,
         'checked_at', '2026-01-01Z'::timestamptz + n * interval '15 minutes')))
  FROM generate_series(1, 130) n, generate_series(1, 20) org, unnest('{xledger,fortnox}'::text[]) type;
DELETE FROM integration_health_status WHERE org_id = lpad('7', 32, '0')::uuid;
SELECT record_health_check(lpad('8', 32, '0')::uuid, 'dynamics', 'unhealthy', 9000, 503, 'down');

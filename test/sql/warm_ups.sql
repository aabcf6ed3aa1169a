-- dispatch_sync_warm_ups calls the worker of each sync shortly before its time, once. pg_net is not
-- installed: a function of the same signature, which writes to a table, stands in for net.http_post.
\i test/fixtures/preamble.sql
CREATE SCHEMA net;
GRANT USAGE ON SCHEMA net TO service_role;
CREATE TABLE net.sent (url text, body jsonb, params jsonb, headers jsonb, timeout_milliseconds int);
CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}', headers jsonb DEFAULT '{"Content-Type": "application/json"}', timeout_milliseconds int DEFAULT 1000)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO net.sent VALUES (url, body, params, headers, timeout_milliseconds);
  RETURN 1;
END
$$;
SET ROLE service_role;
SELECT date_trunc('second', clock_timestamp()) + interval '40 seconds' AS soon \gset
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 day', :'soon'::timestamptz - interval '3 days', warm_up_url => 'https://worker.example.com/a?x=1'));
SELECT count(set_sync_schedule(:'org_a', 'dynamics', '1 day', :'soon'));
SELECT count(set_sync_schedule(:'org_b', 'xledger', '1 day', :'soon', enabled => false, warm_up_url => 'https://worker.example.com/disabled'));
SELECT count(set_sync_schedule(:'org_b', 'dynamics', '1 day', :'soon'::timestamptz + interval '10 minutes', warm_up_url => 'https://worker.example.com/later'));
SELECT dispatch_sync_warm_ups();
SELECT dispatch_sync_warm_ups();
SELECT integration_type, warm_up_for - :'soon'::timestamptz AS next FROM integration_sync_schedules WHERE enabled AND warm_up_url IS NOT NULL ORDER BY 1;
SELECT dispatch_sync_warm_ups('10 seconds'), dispatch_sync_warm_ups('15 minutes'), dispatch_sync_warm_ups('15 minutes');
RESET ROLE;
SELECT url, body - 'scheduled_for' AS body, (body->>'scheduled_for')::timestamptz - :'soon'::timestamptz AS scheduled_for, params, headers, timeout_milliseconds FROM net.sent;
-- a period that passed without a call is skipped; the call for the next one comes in time
UPDATE integration_sync_schedules SET warm_up_for = warm_up_for - 4 * every WHERE org_id = :'org_b';
SET ROLE service_role;
SELECT dispatch_sync_warm_ups('15 minutes');
RESET ROLE;
SELECT right(org_id::text, 1) AS org, warm_up_for - :'soon'::timestamptz AS next FROM integration_sync_schedules WHERE enabled AND warm_up_url IS NOT NULL ORDER BY 1;
TRUNCATE net.sent;
UPDATE integration_sync_schedules SET warm_up_for = warm_up_for - 3 * every WHERE org_id = :'org_b';
SET ROLE service_role;
SELECT dispatch_sync_warm_ups('1 minute');
RESET ROLE;
SELECT right(org_id::text, 1) AS org, warm_up_for - :'soon'::timestamptz AS next FROM integration_sync_schedules WHERE enabled AND warm_up_url IS NOT NULL ORDER BY 1;
-- a call that is rolled back is not sent
UPDATE integration_sync_schedules SET warm_up_for = warm_up_for - every WHERE org_id = :'org_a';
TRUNCATE net.sent;
BEGIN;
SET LOCAL ROLE service_role;
SELECT dispatch_sync_warm_ups();
ROLLBACK;
SELECT count(*) FROM net.sent;
SELECT count(*) FROM integration_sync_schedules WHERE warm_up_for = :'soon';
-- a URL that pg_net refuses causes a warning, and does not keep the others from being called
CREATE OR REPLACE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}', headers jsonb DEFAULT '{"Content-Type": "application/json"}', timeout_milliseconds int DEFAULT 1000)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO net.sent VALUES (url, body, params, headers, timeout_milliseconds);
  IF url LIKE '%[%' THEN RAISE EXCEPTION 'bad URL'; END IF;
  RETURN 1;
END
$$;
SET ROLE service_role;
SELECT count(set_sync_schedule(('00000000-0000-0000-0000-00000000010' || n)::uuid, 'xledger', '1 day', :'soon', warm_up_url => CASE WHEN n = 2 THEN 'http://[' ELSE 'http://example.com/' || n END)) FROM generate_series(1, 3) AS n;
\set VERBOSITY terse
SELECT dispatch_sync_warm_ups();
SELECT dispatch_sync_warm_ups();
\set VERBOSITY default
RESET ROLE;
SELECT url FROM net.sent ORDER BY 1;
DELETE FROM integration_sync_schedules WHERE right(org_id::text, 3) LIKE '10_';
TRUNCATE net.sent;
-- a warm-up is neither a check nor a run
SELECT (SELECT count(*) FROM integration_health_status) AS status, (SELECT count(*) FROM integration_sync_runs) AS runs;
-- net.http_post is not called if the caller may not use it, or if no superuser owns it: an event is sent instead
UPDATE integration_sync_schedules SET warm_up_for = warm_up_for - every WHERE org_id = :'org_a';
REVOKE USAGE ON SCHEMA net FROM service_role;
SET ROLE service_role;
SELECT dispatch_sync_warm_ups();
RESET ROLE;
GRANT USAGE ON SCHEMA net TO service_role;
CREATE ROLE test_stranger;
ALTER FUNCTION net.http_post OWNER TO test_stranger;
UPDATE integration_sync_schedules SET warm_up_for = warm_up_for - every WHERE org_id = :'org_a';
SET ROLE service_role;
SELECT dispatch_sync_warm_ups();
RESET ROLE;
ALTER FUNCTION net.http_post RENAME TO http_past;
UPDATE integration_sync_schedules SET warm_up_for = warm_up_for - every WHERE org_id = :'org_a';
SELECT dispatch_sync_warm_ups();
SELECT count(*) FROM net.sent;
SELECT v, t.error(format('SELECT dispatch_sync_warm_ups(%s)', v)) FROM unnest(ARRAY['NULL', $$'0'$$, $$'-1 second'$$, $$'25 hours'$$]) AS v;
DROP SCHEMA net CASCADE;
DROP ROLE test_stranger;

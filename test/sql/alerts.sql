-- The outbox: an alert for each cause, handed out to one worker at a time until it is delivered, or given up.
\i test/fixtures/preamble.sql
CREATE FUNCTION t.pass(minutes integer) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  UPDATE integration_alerts SET due_at = due_at - minutes * interval '1 minute', created_at = created_at - minutes * interval '1 minute',
         claimed_at = claimed_at - minutes * interval '1 minute' $$;
SET ROLE service_role;
CREATE FUNCTION pg_temp.check(org uuid, status integration_health_state, cause integration_failure_cause DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
  SELECT check_no FROM record_health_check(org, 'xledger', status, cause => cause) $$;
CREATE VIEW pg_temp.outbox AS
  SELECT kind, right(org_id::text, 1) AS org, attempt, delivered_at IS NOT NULL AS delivered, died_at IS NOT NULL AS dead, error
    FROM integration_alerts ORDER BY created_at, kind;
-- an incident of a pair waits for a minute
SELECT pg_temp.check(:'org_a', 'healthy'), pg_temp.check(:'org_a', 'unhealthy', 'auth');
SELECT * FROM claim_alerts();
SELECT t.pass(1);
SELECT kind, org_id, integration_type, attempt,
       payload - '{alert_id,incident_id,created_at,started_at,confirmed_at}'::text[] AS rest,
       ARRAY(SELECT k FROM jsonb_object_keys(payload) AS k ORDER BY k) AS keys
  FROM claim_alerts();
-- handed out to nobody else, until its lease is over
SELECT count(*) FROM claim_alerts();
SELECT t.pass(2);
SELECT alert_id AS id, attempt FROM claim_alerts(10, '5 minutes') \gset
SELECT :attempt, :'id' = (SELECT payload ->> 'alert_id' FROM integration_alerts) AS same_id;
-- a failure of the attempt before counts no more; the last one's waits for its turn
SELECT finish_alert(:'id', 1, false, 'timeout'), finish_alert(:'id', 2, false, 'HTTP 503');
SELECT due_at - clock_timestamp() > interval '4 minutes' AS waits, error FROM integration_alerts;
-- a delivery counts whoever made it, once
SELECT finish_alert(:'id', 1, true), finish_alert(:'id', 2, true), finish_alert(:'id', 2, false);
TABLE pg_temp.outbox;
-- recovered: whoever was told that it began is told that it ended
SELECT pg_temp.check(:'org_a', 'healthy');
SELECT kind, payload ->> 'incident_id' = (SELECT incident_id::text FROM integration_incidents) AS same_incident,
       payload ? 'resolved_at' AS has_end FROM claim_alerts();
-- what nobody was told of is withdrawn
SELECT pg_temp.check(:'org_a', 'unhealthy', 'auth'), pg_temp.check(:'org_a', 'healthy');
SELECT count(*) FROM integration_alerts WHERE delivered_at IS NULL AND claimed_at IS NULL;
-- the end is not told before the beginning
SELECT pg_temp.check(:'org_b', 'unhealthy', 'auth');
SELECT t.pass(1);
SELECT alert_id AS opened FROM claim_alerts() WHERE kind = 'incident_opened' \gset
SELECT pg_temp.check(:'org_b', 'healthy'), finish_alert(:'opened', 1, false, 'down');
SELECT count(*) FROM claim_alerts();
SELECT kind, state FROM get_alert_backlog() WHERE org_id = :'org_b' ORDER BY kind;
SELECT t.pass(1);
SELECT kind, attempt FROM claim_alerts() WHERE org_id = :'org_b';
SELECT finish_alert(:'opened', 2, true);
SELECT kind, attempt FROM claim_alerts() WHERE org_id = :'org_b';
-- nor while any other alert of the incident is on its way
SELECT pg_temp.check(:'org_b', 'unhealthy', 'auth'), t.pass(1);
SELECT alert_id AS opened FROM claim_alerts() WHERE kind = 'incident_opened' \gset
SELECT finish_alert(:'opened', 1, false, 'down');
RESET ROLE;
UPDATE integration_incidents SET alerted_at = now() - interval '25 hours' WHERE resolved_at IS NULL;
SET ROLE service_role;
SELECT integration_health_watch();
SELECT alert_id AS reminded FROM claim_alerts() WHERE kind = 'incident_reminded' \gset
SELECT pg_temp.check(:'org_b', 'healthy'), finish_alert(:'reminded', 1, true);
SELECT kind, state, attempt FROM get_alert_backlog() WHERE org_id = :'org_b' ORDER BY kind;
SELECT t.pass(1);
SELECT count(*) FROM claim_alerts('10', '2 minutes');
SELECT kind, state, attempt, error FROM get_alert_backlog() WHERE org_id = :'org_b' ORDER BY kind;
SELECT finish_alert(:'opened', 2, true);
SELECT kind, state FROM get_alert_backlog() WHERE org_id = :'org_b' AND created_at > now() - interval '10 minutes' ORDER BY kind;
SELECT finish_alert(alert_id, attempt, true) FROM claim_alerts();
-- given up after the eighth attempt: the waits
RESET ROLE;
TRUNCATE integration_health_status;
SET ROLE service_role;
SELECT pg_temp.check(:'org_a', 'unhealthy', 'auth'), t.pass(1);
CREATE FUNCTION pg_temp.fail() RETURNS interval LANGUAGE plpgsql AS $$
DECLARE
  mine record;
  wait interval;
BEGIN
  SELECT * INTO mine FROM claim_alerts();
  PERFORM finish_alert(mine.alert_id, mine.attempt, false, repeat('x', 3000));
  SELECT date_trunc('minute', due_at - clock_timestamp() + interval '30 seconds') INTO wait FROM integration_alerts;
  PERFORM t.pass(11 * 60);
  RETURN wait;
END $$;
SELECT attempt, pg_temp.fail() AS waits FROM generate_series(1, 7) AS attempt;
SELECT state, attempt, length(error) FROM get_alert_backlog();
SELECT pg_temp.fail() IS NOT NULL AS failed;
SELECT state, attempt, due_at FROM get_alert_backlog();
SELECT count(*) FROM claim_alerts();
-- retried by hand
SELECT alert_id AS id FROM integration_alerts \gset
SELECT retry_alert(:'id'), retry_alert(:'id'), retry_alert(gen_random_uuid());
SELECT attempt FROM claim_alerts();
SELECT t.pass(60 * 24);
-- or given up when the worker of the last attempt never reports
RESET ROLE;
UPDATE integration_alerts SET attempt = 8;
SET ROLE service_role;
SELECT count(*) FROM claim_alerts();
TABLE pg_temp.outbox;
-- reminded of every day, unless somebody has acknowledged it
RESET ROLE;
TRUNCATE integration_health_status;
SET ROLE service_role;
SELECT pg_temp.check(:'org_a', 'unhealthy', 'auth'), pg_temp.check(:'org_b', 'unhealthy', 'auth');
SELECT acknowledge_incident(incident_id) IS NOT NULL AS acknowledged FROM integration_incidents WHERE org_id = :'org_b';
SELECT integration_health_watch();
RESET ROLE;
UPDATE integration_incidents SET alerted_at = now() - interval '25 hours';
SET ROLE service_role;
SELECT integration_health_watch(), integration_health_watch();
SELECT kind, right(org_id::text, 1) AS org FROM integration_alerts ORDER BY kind, org_id;
-- credentials that expire: each time once
INSERT INTO integration_monitors (org_id, integration_type, credential_expires_at)
SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'dynamics', now() + days * interval '1 day'
  FROM unnest(ARRAY[0.5, 5, 13, 20, -1]) WITH ORDINALITY AS d (days, n);
SELECT integration_health_watch(), integration_health_watch();
SELECT right(org_id::text, 1) AS org, payload -> 'within_days' AS within_days, payload ? 'expires_at' AS says_when FROM integration_alerts WHERE kind = 'credential_expires' ORDER BY org_id;
UPDATE integration_monitors SET credential_expires_at = now() + interval '1 hour' WHERE org_id = '00000000-0000-0000-0000-000000000002';
SELECT integration_health_watch();
-- a monitor that nobody runs
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '16 minutes' WHERE org_id = '00000000-0000-0000-0000-000000000001';
SET ROLE service_role;
SELECT integration_health_watch(), integration_health_watch();
SELECT payload -> 'types' AS types, org_id, integration_type FROM integration_alerts WHERE kind = 'monitor_silent';
-- modes of a type
SELECT record_health_check(:'org_a', 'dynamics', 'unhealthy', http_status => 429, retry_after => 60) IS NOT NULL AS recorded;
SELECT resume_active_monitoring('dynamics') IS NOT NULL AS resumed;
SELECT kind, org_id, integration_type FROM integration_alerts WHERE kind ~ '^type' ORDER BY created_at;
-- refused
SELECT t.error(c) FROM unnest(ARRAY[
  'SELECT claim_alerts(0)', 'SELECT claim_alerts(NULL)', 'SELECT claim_alerts(1, ''0'')', 'SELECT claim_alerts(1, NULL)', 'SELECT claim_alerts(1, ''2 days'')',
  'SELECT finish_alert(NULL, 1, true)', 'SELECT finish_alert(gen_random_uuid(), NULL, true)', 'SELECT finish_alert(gen_random_uuid(), 1, NULL)',
  'SELECT retry_alert(NULL)', 'SELECT get_alert_backlog(0)', 'SELECT integration_health_watch(0)',
  'INSERT INTO integration_alerts (alert_id) VALUES (gen_random_uuid())', 'UPDATE integration_alerts SET attempt = 0', 'DELETE FROM integration_alerts']) AS c;
SELECT finish_alert(gen_random_uuid(), 1, true);
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT t.error(c) FROM unnest(ARRAY['SELECT claim_alerts()', 'SELECT finish_alert(gen_random_uuid(), 1, true)', 'SELECT get_alert_backlog()',
  'SELECT retry_alert(gen_random_uuid())', 'SELECT integration_health_watch()', 'TABLE integration_alerts']) AS c;
SELECT set_config('request.jwt.claims', '{"app_metadata": {"role": "global_admin"}}', false) IS NOT NULL AS signed_in;
SELECT count(*) > 5 AS sees_all FROM get_alert_backlog();
SELECT retry_alert(gen_random_uuid());
RESET ROLE;
UPDATE integration_types SET monitoring_mode = 'active', passive_until = NULL;
TRUNCATE integration_health_status;
DROP FUNCTION t.pass(integer);

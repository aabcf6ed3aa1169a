-- Triggers of a role that is no owner: it may make none, and one from the time when it could is refused at the write.
\i test/fixtures/preamble.sql
SELECT current_schema() AS home \gset
CREATE ROLE test_stranger;
GRANT USAGE ON SCHEMA :"home", t TO test_stranger;
-- what default privileges left to other roles than the reader and the writer
SELECT c.relname, a.grantee::regrole, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
 WHERE c.relnamespace = :'home'::regnamespace AND c.relname LIKE 'integration\_%' AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner
   AND (a.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE')
        OR a.privilege_type <> 'SELECT' AND c.relname IN ('integration_health_history', 'integration_health_counts', 'integration_sync_runs'));
CREATE SCHEMA strangers AUTHORIZATION test_stranger;
SET ROLE test_stranger;
CREATE FUNCTION strangers.pwn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
SELECT relation, t.error(format('CREATE TRIGGER z AFTER INSERT ON %I EXECUTE FUNCTION strangers.pwn()', relation))
  FROM unnest('{integration_types,integration_health_status,integration_health_history,integration_health_counts,integration_monitors,integration_sync_schedules,integration_sync_runs}'::text[]) AS relation;
-- readers and system columns
SET ROLE authenticated;
SELECT relation, attribute, t.error(format('SELECT %I FROM %I', attribute, relation))
  FROM unnest('{integration_types,integration_health_status,integration_health_history,integration_monitors,integration_sync_schedules,integration_sync_runs}'::text[]) AS relation,
       unnest('{ctid,xmin,xmax,cmin,cmax,tableoid}'::text[]) AS attribute;
SELECT relation, t.error(format('SELECT *, count(*) OVER () FROM %I', relation))
  FROM unnest('{integration_types,integration_health_status,integration_health_history,integration_monitors,integration_sync_schedules,integration_sync_runs}'::text[]) AS relation;
RESET ROLE;
-- what was made while the role had the right
SET ROLE service_role;
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
RESET ROLE;
GRANT TRIGGER ON integration_health_history, integration_health_counts TO test_stranger;
GRANT TRIGGER ON ALL TABLES IN SCHEMA integration_health_private TO test_stranger;
SET ROLE test_stranger;
CREATE TRIGGER z AFTER INSERT OR UPDATE ON integration_health_history FOR EACH ROW EXECUTE FUNCTION strangers.pwn();
SET ROLE service_role;
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''healthy'')', :'org_a'));
RESET ROLE;
DROP TRIGGER z ON integration_health_history;
SET ROLE test_stranger;
CREATE TRIGGER z AFTER INSERT ON integration_health_counts FOR EACH ROW EXECUTE FUNCTION strangers.pwn();
SET ROLE service_role;
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''unhealthy'')', :'org_a'));
RESET ROLE;
DROP TRIGGER z ON integration_health_counts;
-- every other table that the extension writes as its owner, by each of the ways in which it does
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at)
VALUES (:'org_b', 'xledger', 'unhealthy', now() - interval '1 day', now() - interval '1 day', 3, 5, now() - interval '1 day');
INSERT INTO integration_monitors (org_id, integration_type, due_at, claimed_at) VALUES (:'org_b', 'xledger', now() - interval '10 hours', now() - interval '20 hours');
SET client_min_messages = error;
SELECT count(set_sync_schedule(:'org_b', 'dynamics', '1 day', now() - interval '3 days 1 hour', warm_up_url => 'https://worker.example.com/'));
UPDATE integration_sync_schedules SET due_at = anchor, planned_since = anchor;
INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, finished_at, lease_until, cold_start, drift, idempotency_key)
SELECT org_id, integration_type, anchor - interval '100 days', 1, 'succeeded', anchor - interval '100 days', anchor - interval '100 days', anchor - interval '99 days', false, '0', 'k' FROM integration_sync_schedules;
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'dynamics';
CREATE FUNCTION t.pwned(relation text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE format('GRANT TRIGGER ON %I TO test_stranger; SET LOCAL ROLE test_stranger;
    CREATE TRIGGER z AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION strangers.pwn(); RESET ROLE', relation, relation);
  result := t.error(command || '; SET CONSTRAINTS ALL IMMEDIATE');
  RAISE EXCEPTION USING ERRCODE = 'UD000', MESSAGE = left(result, 8);
EXCEPTION WHEN SQLSTATE 'UD000' THEN
  RETURN SQLERRM;
END $$;
\set finish 'SELECT finish_sync_run(s.org_id, s.integration_type, p, 1, ''succeeded'') FROM integration_sync_schedules AS s, integration_sync_last_period(s.every, s.anchor, s.time_zone, now()) AS p, claim_sync_run(s.org_id, s.integration_type, p)'
\set claim 'SELECT c FROM integration_sync_schedules AS s, integration_sync_last_period(s.every, s.anchor, s.time_zone, now()) AS p, claim_sync_run(s.org_id, s.integration_type, p) AS c'
SELECT relation, command, t.pwned(relation, command) FROM (VALUES
  ('integration_types', $$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'degraded', http_status => 429)$$),
  ('integration_types', $$SELECT resume_active_monitoring('dynamics')$$),
  ('integration_monitors', 'SELECT claim_due_health_checks()'),
  ('integration_monitors', 'SELECT mark_stale_health()'),
  ('integration_monitors', $$SELECT resume_active_monitoring('dynamics')$$),
  ('integration_monitors', $$SELECT record_health_check('00000000-0000-0000-0000-00000000000b', 'xledger', 'unhealthy')$$),
  ('integration_monitors', $$UPDATE integration_types SET check_interval = '1 hour' WHERE integration_type = 'xledger'$$),
  ('integration_health_status', 'SELECT mark_stale_health()'),
  ('integration_health_status', :'finish'),
  ('integration_health_history', 'SELECT integration_health_cleanup()'),
  ('integration_health_history', 'DELETE FROM integration_health_status'),
  ('integration_health_counts', 'SELECT integration_health_compact()'),
  ('integration_sync_runs', :'claim'),
  ('integration_sync_runs', 'SELECT integration_health_cleanup()'),
  ('integration_sync_schedules', 'SELECT integration_health_cleanup()'),
  ('integration_types', 'SELECT integration_health_cleanup()'),
  ('integration_monitors', 'SELECT integration_health_cleanup()'),
  ('integration_sync_schedules', :'finish'),
  ('integration_sync_schedules', $$SELECT dispatch_sync_warm_ups('1 day')$$)) AS v (relation, command);
-- and each of them does its work where nobody has a trigger
SELECT command, t.error(command || '; SET CONSTRAINTS ALL IMMEDIATE') FROM (VALUES
  ('SELECT claim_due_health_checks()'), ('SELECT mark_stale_health()'), (:'finish'), ($$SELECT dispatch_sync_warm_ups('1 day')$$),
  ('SELECT integration_health_cleanup()'), ($$SELECT resume_active_monitoring('dynamics')$$)) AS v (command);
RESET client_min_messages;
SET client_min_messages = warning;
DROP SCHEMA strangers CASCADE;
DROP OWNED BY test_stranger;
DROP ROLE test_stranger;

-- The triggers of the schedules' tables work on their own tables only, and say so when a site has
-- altered them.
\i test/fixtures/preamble.sql
CREATE TABLE t.other (LIKE integration_monitors);
SELECT t.error(format('SELECT %s()', f)) FROM unnest('{integration_monitors_trigger,integration_sync_schedules_trigger}'::text[]) AS f;
CREATE TRIGGER a BEFORE INSERT ON t.other FOR EACH ROW EXECUTE FUNCTION integration_monitors_trigger();
SELECT t.error($$INSERT INTO t.other VALUES (gen_random_uuid(), 'xledger')$$);
CREATE OR REPLACE TRIGGER a BEFORE INSERT ON t.other FOR EACH ROW EXECUTE FUNCTION integration_sync_schedules_trigger();
SELECT t.error($$INSERT INTO t.other VALUES (gen_random_uuid(), 'xledger')$$);
DROP TABLE t.other;
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 day', 'epoch'));
BEGIN;
CREATE TRIGGER a AFTER INSERT ON integration_monitors FOR EACH ROW EXECUTE FUNCTION integration_monitors_trigger();
SELECT t.error($$SELECT set_monitor(gen_random_uuid(), 'xledger')$$);
CREATE TRIGGER a BEFORE DELETE ON integration_sync_schedules FOR EACH ROW EXECUTE FUNCTION integration_sync_schedules_trigger();
CREATE TRIGGER b BEFORE UPDATE ON integration_sync_schedules FOR EACH STATEMENT EXECUTE FUNCTION integration_sync_schedules_trigger();
SELECT t.error('DELETE FROM integration_sync_schedules');
SELECT t.error('UPDATE integration_sync_schedules SET enabled = true');
ROLLBACK;
-- columns are found by name
BEGIN;
ALTER TABLE integration_monitors ADD dropped text, ADD site_note text;
ALTER TABLE integration_monitors DROP dropped;
ALTER TABLE integration_sync_runs ADD site_note text DEFAULT 'kept';
ALTER TABLE integration_sync_schedules ADD site_note text;
ALTER TABLE integration_types ADD dropped text, ADD site_note text DEFAULT 'kept';
ALTER TABLE integration_types DROP dropped;
SELECT count(set_monitor(:'org_a', 'xledger')), count(set_sync_schedule(:'org_a', 'xledger', '1 day', 'epoch'));
UPDATE integration_monitors SET due_at = now(), site_note = 'kept';
SELECT count(*) FROM claim_due_health_checks();
SELECT site_note, claimed_at IS NOT NULL AS claimed FROM integration_monitors;
SET client_min_messages = error;
SELECT claimed FROM claim_sync_run(:'org_a', 'xledger', 'epoch');
SELECT outcome, site_note FROM finish_sync_run(:'org_a', 'xledger', 'epoch', 1, 'failed');
RESET client_min_messages;
SELECT count(record_health_check(:'org_a', 'xledger', 'unhealthy')) FROM generate_series(1, 2);
SELECT count(record_health_check(:'org_a', 'xledger', 'unhealthy'));
SELECT site_note, due_at - claimed_at > interval '20 minutes' AS waits FROM integration_monitors;
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'xledger';
SELECT monitoring_mode, site_note FROM resume_active_monitoring('xledger');
ALTER TABLE integration_monitors RENAME due_at TO due;
SELECT t.error(format('SELECT set_monitor(%L, %L)', :'org_b', 'xledger'));
ROLLBACK;
-- a rule or trigger that keeps a run from the ledger is an error, not a lost run
SELECT now() AS period \gset
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 day', :'period'));
SET client_min_messages = error;
SELECT claimed FROM claim_sync_run(:'org_a', 'xledger', :'period');
CREATE FUNCTION t.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER a BEFORE UPDATE ON integration_sync_runs FOR EACH ROW EXECUTE FUNCTION t.nothing();
SELECT t.error(format($$SELECT finish_sync_run(%L, 'xledger', %L, 1, 'failed')$$, :'org_a', :'period'));
DROP TRIGGER a ON integration_sync_runs;
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', :'period', 1, 'failed');
DROP FUNCTION t.nothing;

-- A sync that fails waits, and is given up in the end; periods are missed by the plan of their time; one bad schedule spoils no report.
\i test/fixtures/preamble.sql
SET client_min_messages = error;
SELECT period, period - interval '10 days' AS anchor FROM (SELECT date_trunc('minute', now()) - interval '20 minutes' AS period) AS p \gset
-- a failed period waits for retry_backoff, doubled with each attempt
SELECT max_attempts, retry_backoff, enabled FROM set_sync_schedule(:'org_a', 'xledger', '1 day', :'anchor', max_attempts => 3, retry_backoff => '10 minutes');
UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor;
CREATE FUNCTION t.tries() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
  c record;
BEGIN
  SELECT INTO c cl.claimed, cl.attempt, cl.scheduled_for FROM integration_sync_schedules AS s, integration_sync_last_period(s.every, s.anchor, s.time_zone, now()) AS p,
    claim_sync_run(s.org_id, s.integration_type, p) AS cl WHERE s.integration_type = 'xledger';
  result := concat_ws(' ', (SELECT count(*) FROM get_due_syncs()), 'due,', CASE WHEN c.claimed THEN 'claimed' ELSE 'refused' END, c.attempt);
  IF c.claimed THEN
    PERFORM finish_sync_run('00000000-0000-0000-0000-00000000000a', 'xledger', c.scheduled_for, c.attempt, 'failed');
  END IF;
  RETURN concat_ws(', ', result, (SELECT CASE WHEN due_at > now() + interval '12 hours' THEN 'next period' ELSE round(extract(epoch FROM due_at - now()) / 60)::text END FROM integration_sync_schedules WHERE integration_type = 'xledger'));
END $$;
CREATE FUNCTION t.minutes_pass(n integer) RETURNS void LANGUAGE sql AS $$
  UPDATE integration_sync_runs SET finished_at = finished_at - n * interval '1 minute';
  UPDATE integration_sync_schedules SET due_at = due_at - n * interval '1 minute';
$$;
SELECT count(*) AS due FROM get_due_syncs();
SELECT t.tries();
SELECT t.tries();
SELECT FROM t.minutes_pass(11);
SELECT count(*) AS due FROM get_due_syncs();
SELECT t.tries();
SELECT FROM t.minutes_pass(11);
SELECT t.tries();
SELECT FROM t.minutes_pass(10);
SELECT t.tries();
-- given up: it is not claimed any more, however long one waits, until more attempts are allowed
SELECT FROM t.minutes_pass(600);
SELECT t.tries();
SELECT set_config('request.jwt.claims', t.claims(:'org_a', 'global_admin'), false) IS NOT NULL AS signed_in;
SELECT integration_type, scheduled_for = :'period' AS period, attempts, given_up FROM get_missed_syncs(:'org_a', 4);
SELECT integration_type, failed, missed, given_up FROM get_global_sync_summary(4);
UPDATE integration_sync_schedules SET max_attempts = 4;
SELECT count(*) FROM get_missed_syncs(:'org_a', 4);
SELECT claimed, attempt FROM claim_sync_run(:'org_a', 'xledger', :'period');
-- an attempt that reported nothing counts, too
UPDATE integration_sync_runs SET lease_until = now() - interval '1 second' WHERE outcome = 'running';
SELECT claimed, attempt, outcome FROM claim_sync_run(:'org_a', 'xledger', :'period');
SELECT attempts, given_up FROM get_missed_syncs(:'org_a', 4);
-- a lease, or an end, from a clock that was a year ahead
UPDATE integration_sync_schedules SET max_attempts = 100;
UPDATE integration_sync_runs SET lease_until = now() + interval '1 year' WHERE outcome = 'running';
SELECT claimed, attempt FROM claim_sync_run(:'org_a', 'xledger', :'period');
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', :'period', 5, 'failed');
UPDATE integration_sync_runs SET finished_at = now() + interval '1 year';
SELECT claimed, attempt FROM claim_sync_run(:'org_a', 'xledger', :'period');
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', :'period', 6, 'succeeded');
SELECT due_at - :'period'::timestamptz AS next FROM integration_sync_schedules;
-- periods that were given up do not crowd out others
SELECT count(set_sync_schedule(('00000000-0000-0000-0004-' || lpad(n::text, 12, '0'))::uuid, 'dynamics', '1 day', :'anchor', max_attempts => 1)) FROM generate_series(1, 1001) AS n;
UPDATE integration_sync_schedules SET due_at = anchor WHERE integration_type = 'dynamics';
INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, finished_at, cold_start)
SELECT org_id, 'dynamics', :'period', 1, 'failed', now() - interval '1 hour', now() - interval '1 hour', false FROM integration_sync_schedules WHERE integration_type = 'dynamics' AND org_id <> '00000000-0000-0000-0004-000000001001';
SELECT right(org_id::text, 4) AS org, attempts FROM get_due_syncs();
-- bounds
SELECT t.error(format('SELECT set_sync_schedule(%L, ''xledger'', ''1 day'', now(), %s)', :'org_a', v)) FROM unnest(ARRAY['max_attempts => 0', 'max_attempts => 101', 'retry_backoff => ''-1 second''', 'retry_backoff => ''25 hours''']) AS v;

-- what was pruned is not missed
TRUNCATE integration_sync_runs, integration_sync_schedules;
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 day', :'anchor'));
UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor;
INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, finished_at, cold_start)
SELECT s.org_id, s.integration_type, p, 1, 'succeeded', p, p, false FROM integration_sync_schedules AS s, integration_sync_periods(s.every, s.anchor, s.time_zone, s.anchor, now() - interval '2 days') AS p;
SELECT count(*) FROM get_missed_syncs(:'org_a', 720);
SELECT integration_health_cleanup('7 days');
SELECT count(*) FROM get_missed_syncs(:'org_a', 720);
SELECT missed FROM get_global_sync_summary(720) WHERE integration_type = 'xledger';
-- a plan that has changed leaves what was missed by the old one; while it was disabled nothing is missed
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 day', :'anchor', 'Etc/UTC'));
SELECT count(*) FROM get_missed_syncs(:'org_a', 720);
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 day', :'anchor', 'Etc/UTC', false));
SELECT count(*) FROM get_missed_syncs(:'org_a', 720);
UPDATE integration_sync_schedules SET planned_since = planned_since - interval '12 hours';
-- calling set_sync_schedule at each deploy changes nothing about that
SELECT enabled FROM set_sync_schedule(:'org_a', 'xledger', '1 day', :'anchor', 'Etc/UTC');
SELECT enabled FROM set_sync_schedule(:'org_a', 'xledger', '1 day', :'anchor', 'Etc/UTC', true);
SELECT scheduled_for = :'period' AS last FROM get_missed_syncs(:'org_a', 720) ORDER BY 1;
SELECT enabled FROM set_monitor(:'org_a', 'xledger', false);
SELECT enabled FROM set_monitor(:'org_a', 'xledger');
SET ROLE authenticated;
SELECT count(*) FROM get_missed_syncs(:'org_a', 720);
SELECT count(*) FROM get_missed_syncs(:'org_b', 720);
RESET ROLE;
-- the plans go with the schedule
SELECT count(*) > 0 AS kept FROM integration_health_private.sync_plans;
DELETE FROM integration_sync_schedules;
SELECT count(*) FROM integration_health_private.sync_plans;

-- a time zone that has left this system: the schedule is named, and the others go on
SELECT count(set_sync_schedule(o, 'xledger', '1 day', :'anchor', warm_up_url => 'https://worker.example.com/')) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o;
INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, lease_until, cold_start) VALUES (:'org_b', 'xledger', :'period', 1, 'running', now(), now() + interval '5 minutes', false);
ALTER TABLE integration_sync_schedules DISABLE TRIGGER USER;
UPDATE integration_sync_schedules SET planned_since = anchor, due_at = anchor, warm_up_for = anchor;
UPDATE integration_sync_schedules SET time_zone = 'Mars/Olympus_Mons' WHERE org_id = :'org_b';
ALTER TABLE integration_sync_schedules ENABLE TRIGGER USER;
RESET client_min_messages;
SELECT right(org_id::text, 1) AS org FROM get_due_syncs();
SELECT dispatch_sync_warm_ups('1 day');
SELECT missed FROM get_global_sync_summary(720) WHERE integration_type = 'xledger';
SELECT count(*) FROM get_missed_syncs(:'org_a', 720);
SELECT set_config('request.jwt.claims', t.claims(:'org_b'), false) IS NOT NULL AS signed_in;
SELECT count(*) FROM get_missed_syncs(:'org_b', 720);
SELECT outcome FROM finish_sync_run(:'org_b', 'xledger', :'period', 1, 'succeeded');
SELECT right(org_id::text, 1) AS org, due_at = anchor AS as_before, warm_up_for = anchor AS warm_up_as_before FROM integration_sync_schedules ORDER BY 1;
SELECT t.error(format('SELECT claim_sync_run(%L, ''xledger'', %L)', :'org_b', :'period'));
-- it may be changed otherwise, and restored as it is, but nobody sets it
UPDATE integration_sync_schedules SET warm_up_url = NULL WHERE org_id = :'org_b';
SELECT t.error($$UPDATE integration_sync_schedules SET time_zone = 'Mars/Arsia_Mons'$$);
SELECT t.error($$INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor, time_zone) VALUES (gen_random_uuid(), 'xledger', '1 day', now(), 'Mars/Arsia_Mons')$$);
CREATE TEMPORARY TABLE dumped AS SELECT * FROM integration_sync_schedules;
DELETE FROM integration_sync_schedules;
INSERT INTO integration_sync_schedules SELECT * FROM dumped;
SELECT right(org_id::text, 1) AS org, time_zone FROM integration_sync_schedules ORDER BY 1;
-- a column that must not be null and is null is named
BEGIN;
ALTER TABLE integration_sync_schedules ALTER time_zone DROP NOT NULL, ALTER max_attempts DROP NOT NULL;
ALTER TABLE integration_sync_schedules DISABLE TRIGGER USER;
UPDATE integration_sync_schedules SET time_zone = NULL;
SELECT t.error(format('SELECT claim_sync_run(%L, ''xledger'', %L)', :'org_a', :'period'));
SELECT count(*) FROM get_due_syncs();
UPDATE integration_sync_schedules SET time_zone = 'UTC', max_attempts = NULL;
SELECT t.error(format('SELECT claim_sync_run(%L, ''xledger'', %L)', :'org_a', :'period'));
ROLLBACK;
SELECT * FROM t.violations();
TRUNCATE integration_sync_schedules, integration_sync_runs;
SELECT count(*) FROM integration_health_private.sync_plans;

-- Each period succeeds once; a superseded attempt cannot report; late, missed and cold runs are reported.
\i test/fixtures/preamble.sql
SET ROLE service_role;
-- an hourly schedule; the current period, 20 minutes old at any time of the day, is so far unclaimed
SELECT period, period - interval '1 hour' AS earlier, period - interval '2 hours' AS long_ago, period - interval '48 hours' AS anchor
  FROM (SELECT date_trunc('minute', now()) - interval '20 minutes' AS period) AS p \gset
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 hour', :'anchor', retry_backoff => '0'));
SET client_min_messages = error;
SELECT claimed, attempt, outcome, started_at >= now() AS started, finished_at, lease_until - started_at AS lease, drift = started_at - scheduled_for AS drift, cold_start, error,
       idempotency_key = format('%s:xledger:%s', :'org_a', to_char(scheduled_for, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) AS key
  FROM claim_sync_run(:'org_a', 'xledger', :'period');
-- nobody else gets the run
SELECT claimed, attempt, outcome FROM claim_sync_run(:'org_a', 'xledger', :'period', true);
SELECT outcome, attempt, finished_at >= started_at AS finished, lease_until, error FROM finish_sync_run(:'org_a', 'xledger', :'period', 1, 'failed', 'HTTP 500');
-- the same report again changes nothing; the other outcome is refused
SELECT outcome, error FROM finish_sync_run(:'org_a', 'xledger', :'period', 1, 'failed', 'something else');
SELECT t.error(format($$SELECT finish_sync_run(%L, 'xledger', %L, 1, 'succeeded')$$, :'org_a', :'period'));
-- failed: claimed again, with the next number, the same key, and a cold start of its own
SELECT claimed, attempt, outcome, finished_at, error, cold_start FROM claim_sync_run(:'org_a', 'xledger', :'period', true);
SELECT t.error(format($$SELECT finish_sync_run(%L, 'xledger', %L, 1, 'succeeded')$$, :'org_a', :'period'));
SELECT outcome, attempt FROM finish_sync_run(:'org_a', 'xledger', :'period', 2, 'succeeded');
-- succeeded: never again
SELECT claimed, attempt, outcome FROM claim_sync_run(:'org_a', 'xledger', :'period');
SELECT t.error(format($$SELECT finish_sync_run(%L, 'xledger', %L, 2, 'failed')$$, :'org_a', :'period'));
-- a lease that ran out
SELECT claimed, attempt FROM claim_sync_run(:'org_a', 'xledger', :'earlier', lease => '1 second');
SELECT claimed, attempt FROM claim_sync_run(:'org_a', 'xledger', :'earlier');
RESET ROLE;
UPDATE integration_sync_runs SET lease_until = now() - interval '1 second' WHERE outcome = 'running';
SET ROLE service_role;
SELECT claimed, attempt FROM claim_sync_run(:'org_a', 'xledger', :'earlier');
SELECT t.error(format($$SELECT finish_sync_run(%L, 'xledger', %L, 1, 'succeeded')$$, :'org_a', :'earlier'));
-- it may report as long as nobody else has claimed the run
RESET ROLE;
UPDATE integration_sync_runs SET lease_until = now() - interval '1 second' WHERE outcome = 'running';
SET ROLE service_role;
SELECT outcome, attempt FROM finish_sync_run(:'org_a', 'xledger', :'earlier', 2, 'succeeded');
-- errors: not a period, a period to come, a pair without a schedule
SELECT t.error(format($$SELECT claim_sync_run(%L, 'xledger', '2026-01-01 00:00:01')$$, :'org_a')) LIKE '22023: scheduled_for is not a period of the schedule (The nearest period is ' || to_char(:'anchor'::timestamptz, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || '.)' AS refused;
SELECT regexp_replace(t.error(format($$SELECT claim_sync_run(%L, 'xledger', %L::timestamptz + interval '1 day')$$, :'org_a', :'period')), '\d{4}-[0-9T:-]+Z', 'then');
SELECT t.error(format($$SELECT claim_sync_run(%L, 'xledger', %L)$$, :'org_b', :'period'));
SELECT t.error(format($$SELECT claim_sync_run(%L, 'dynamics', %L)$$, :'org_a', :'period'));
SELECT t.error(format($$SELECT claim_sync_run(%s)$$, v)) FROM unnest(ARRAY[$$NULL, 'xledger', now()$$, $$gen_random_uuid(), NULL, now()$$, $$gen_random_uuid(), 'xledger', NULL$$,
  $$gen_random_uuid(), 'xledger', now(), NULL$$, $$gen_random_uuid(), 'xledger', now(), false, NULL$$, $$gen_random_uuid(), 'xledger', now(), false, '0'$$, $$gen_random_uuid(), 'xledger', now(), false, '-1 hour'$$,
  $$gen_random_uuid(), 'xledger', now(), false, '2 days'$$, $$gen_random_uuid(), 'xledger', 'infinity'$$]) AS v;
SELECT t.error(format($$SELECT finish_sync_run(%L, 'xledger', %s)$$, :'org_a', v)) FROM unnest(ARRAY['NULL, 1, $$failed$$', 'now(), NULL, $$failed$$', 'now(), 1, NULL', 'now(), 1, $$running$$', 'now(), 1, $$failed$$']) AS v;
SELECT claimed FROM claim_sync_run(:'org_a', 'xledger', :'long_ago');
SELECT split_part(t.error(format($$SELECT finish_sync_run(%L, 'xledger', %L, 1, 'failed', repeat('x', 2001))$$, :'org_a', :'long_ago')), '(', 1);
UPDATE integration_sync_schedules SET enabled = false;
SELECT t.error(format($$SELECT claim_sync_run(%L, 'xledger', %L)$$, :'org_a', :'long_ago'));
UPDATE integration_sync_schedules SET enabled = true;
-- a period may be claimed within the minute before it
SELECT count(set_sync_schedule(:'org_b', 'xledger', '1 day', clock_timestamp() + interval '50 seconds'));
SELECT claimed, drift < '0' AS early FROM integration_sync_schedules AS s, claim_sync_run(s.org_id, s.integration_type, s.anchor) AS c WHERE s.org_id = :'org_b';
-- nobody writes the ledger but the functions
SELECT t.error(q) FROM unnest(ARRAY['DELETE FROM integration_sync_runs', $$UPDATE integration_sync_runs SET outcome = 'failed'$$, 'TRUNCATE integration_sync_runs',
  $$INSERT INTO integration_sync_runs (org_id, integration_type, scheduled_for, attempt, outcome, started_at, cold_start) VALUES (gen_random_uuid(), 'xledger', now(), 1, 'running', now(), false)$$]) AS q;
RESET client_min_messages;
-- a late run causes a WARNING; how late is a setting
RESET ROLE;
TRUNCATE integration_sync_runs, integration_sync_schedules;
SET ROLE service_role;
SELECT count(set_sync_schedule(o, type, '2 hours', date_trunc('minute', now()) - interval '190 minutes')) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o, unnest(ARRAY['xledger', 'dynamics']) AS type;
SELECT anchor AS first, anchor + interval '2 hours' AS second FROM integration_sync_schedules LIMIT 1 \gset
\set VERBOSITY terse
SET integration_health.max_drift = '1d';
SELECT claimed FROM claim_sync_run(:'org_a', 'xledger', :'first', cold_start => true);
SET integration_health.max_drift = '5min';
DO $$ BEGIN PERFORM claim_sync_run(org_id, integration_type, anchor + interval '2 hours') FROM integration_sync_schedules WHERE integration_type = 'dynamics'; EXCEPTION WHEN OTHERS THEN RAISE; END $$;
\set VERBOSITY default
RESET integration_health.max_drift;
-- due: the last period of each schedule, in the order of their time; missed are those before
RESET ROLE;
UPDATE integration_sync_schedules SET planned_since = '2020-01-01', due_at = anchor;
SET ROLE service_role;
SELECT right(org_id::text, 1) AS org, integration_type, scheduled_for = :'second' AS second, attempts, idempotency_key LIKE org_id || ':' || integration_type || ':20%Z' AS key FROM get_due_syncs() ORDER BY 1, 2;
-- what readers see
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT integration_type, display_name, scheduled_for = :'second' AS second, floor(extract(epoch FROM drift) / 600) * 10 AS minutes, attempt, outcome, cold_start FROM get_sync_drift(:'org_a');
SELECT integration_type, display_name, CASE scheduled_for WHEN :'first' THEN 1 WHEN :'second' THEN 2 END AS period, floor(extract(epoch FROM overdue) / 600) * 10 AS minutes, attempts FROM get_missed_syncs(:'org_a');
SELECT integration_type, display_name, CASE scheduled_for WHEN :'first' THEN 1 WHEN :'second' THEN 2 END AS period, attempt, outcome FROM get_cold_starts(:'org_a');
SELECT count(*) FROM get_missed_syncs(:'org_a', 1);
SELECT count(*) FROM get_missed_syncs(:'org_a', 2);
SELECT (SELECT count(*) FROM get_sync_drift(:'org_b')), (SELECT count(*) FROM get_missed_syncs(:'org_b')), (SELECT count(*) FROM get_cold_starts(:'org_b')),
       (SELECT count(*) FROM get_sync_drift(NULL)), (SELECT count(*) FROM integration_sync_runs), (SELECT count(*) FROM integration_sync_schedules);
SELECT f, hours, t.error(format('SELECT * FROM %s(gen_random_uuid(), %s)', f, coalesce(hours, 'NULL'))) FROM unnest('{get_sync_drift,get_missed_syncs,get_cold_starts}'::text[]) AS f, unnest('{NULL,0,721,720}'::text[]) AS hours;
SELECT t.error(q) FROM unnest(ARRAY['SELECT get_due_syncs()', $$SELECT claim_sync_run(gen_random_uuid(), 'xledger', now())$$, $$SELECT finish_sync_run(gen_random_uuid(), 'xledger', now(), 1, 'failed')$$,
  $$SELECT set_sync_schedule(gen_random_uuid(), 'xledger', '1 day', now())$$, 'SELECT dispatch_sync_warm_ups()', 'SELECT get_global_sync_summary()', 'DELETE FROM integration_sync_schedules']) AS q;
-- an attempt that was given up is missed, too
RESET ROLE;
UPDATE integration_sync_runs SET lease_until = now() - interval '1 minute' WHERE scheduled_for = :'first';
SET ROLE authenticated;
SELECT integration_type, CASE scheduled_for WHEN :'first' THEN 1 WHEN :'second' THEN 2 END AS period, attempts FROM get_missed_syncs(:'org_a');
-- all of it for global admins
SELECT set_config('request.jwt.claims', t.claims(NULL, 'global_admin'), false) IS NOT NULL AS signed_in;
SELECT integration_type, schedules, succeeded, failed, running, late, missed, cold_starts, floor(extract(epoch FROM max_drift) / 600) * 10 AS max_drift FROM get_global_sync_summary();
SELECT t.error('SELECT * FROM get_global_sync_summary(0)');
SET ROLE anon;
SELECT t.error('SELECT * FROM get_global_sync_summary()');
-- the cleanup takes old runs that have ended or were given up, and what it took cannot be claimed again
RESET ROLE;
TRUNCATE integration_sync_runs, integration_sync_schedules;
SET ROLE service_role;
SET client_min_messages = error;
SELECT count(set_sync_schedule(:'org_a', 'xledger', '1 day', :'anchor'::timestamptz - interval '40 days'));
SELECT count(*), bool_and(c.claimed) AS claimed FROM integration_sync_schedules AS s, integration_sync_periods(s.every, s.anchor, s.time_zone, s.anchor, now()) AS p, claim_sync_run(s.org_id, s.integration_type, p) AS c;
SELECT count(finish_sync_run(org_id, integration_type, scheduled_for, 1, 'succeeded')) FROM integration_sync_runs WHERE scheduled_for > :'anchor'::timestamptz - interval '39 days 12 hours';
SELECT integration_health_cleanup();
RESET ROLE;
UPDATE integration_sync_runs SET finished_at = scheduled_for + interval '1 minute' WHERE outcome = 'succeeded';
UPDATE integration_sync_runs SET lease_until = scheduled_for + interval '1 minute' WHERE outcome = 'running';
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy', checked_at => now() - interval '31 days')) AS recorded;
SET ROLE service_role;
SELECT integration_health_cleanup(max_rows => 3);
SELECT integration_health_cleanup();
SELECT count(*), min(scheduled_for) >= now() - interval '30 days' AS younger FROM integration_sync_runs;
SELECT pruned_until = :'anchor'::timestamptz - interval '28 days' AS pruned FROM integration_sync_schedules;
SELECT split_part(t.error(format($$SELECT claim_sync_run(%L, 'xledger', %L::timestamptz - interval '30 days')$$, :'org_a', :'anchor')), '(', 1);
SELECT claimed FROM claim_sync_run(:'org_a', 'xledger', :'anchor'::timestamptz - interval '27 days');
SELECT count(*) FROM integration_sync_runs WHERE scheduled_for < :'anchor'::timestamptz - interval '28 days';
-- a run that succeeds moves due_at on; one that fails, or whose period is before due_at, does not
RESET ROLE;
UPDATE integration_sync_schedules SET due_at = :'anchor'::timestamptz - interval '26 days';
UPDATE integration_sync_runs SET outcome = 'running', finished_at = NULL, lease_until = now() WHERE scheduled_for > :'anchor'::timestamptz - interval '28 days';
SET ROLE service_role;
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', :'anchor'::timestamptz - interval '27 days', 1, 'succeeded');
SELECT due_at - :'anchor'::timestamptz AS due FROM integration_sync_schedules;
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', :'anchor'::timestamptz - interval '26 days', 1, 'failed');
SELECT due_at - :'anchor'::timestamptz AS due FROM integration_sync_schedules;
SELECT outcome FROM finish_sync_run(:'org_a', 'xledger', :'anchor'::timestamptz - interval '25 days', 1, 'succeeded');
SELECT due_at - :'anchor'::timestamptz AS due FROM integration_sync_schedules;
SELECT v, t.error(format('SELECT get_due_syncs(%s)', v)) FROM unnest(ARRAY['0', '-1', 'NULL']) AS v;
-- of many, those that wait longest come first, found by the index
RESET ROLE;
TRUNCATE integration_sync_schedules;
INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor, planned_since, due_at, warm_up_for)
  SELECT gen_random_uuid(), 'xledger', '1 day', p, p, CASE WHEN n % 100 = 0 THEN p ELSE p + interval '1 day' END, p + interval '1 day'
    FROM generate_series(1, 5000) AS n, LATERAL (SELECT now() - n * interval '10 seconds' AS p) AS x;
ANALYZE integration_sync_schedules;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM get_due_syncs(20);
SELECT seq_scan, idx_scan = tables AS one_idx_scan FROM t.table_stats WHERE relname = 'integration_sync_schedules';
COMMIT;
SELECT count(*) AS taken, max(place) AS last FROM get_due_syncs(20) JOIN (
  SELECT org_id, row_number() OVER (ORDER BY due_at) AS place FROM integration_sync_schedules) AS s USING (org_id);
-- a type with schedules stays
SELECT split_part(t.error($$DELETE FROM integration_types WHERE integration_type = 'xledger'$$), ':', 1);

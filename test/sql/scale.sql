-- Reports and jobs read what they need, however many pairs there are.
\i test/fixtures/preamble.sql
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at)
SELECT ('00000000-0000-0000-0005-' || lpad(n::text, 12, '0'))::uuid, 'xledger', CASE WHEN n % 5 < 3 THEN 'healthy' WHEN n % 5 = 3 THEN 'unhealthy' ELSE 'degraded' END::integration_health_state, now() - n * interval '1 second'
  FROM generate_series(1, 20000) AS n;
-- a healthy check stays a HOT update
ANALYZE integration_health_status, integration_health_history;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT n_tup_upd AS before, n_tup_hot_upd AS hot_before FROM t.table_stats WHERE relname = 'integration_health_status' \gset
UPDATE integration_health_status SET status = 'healthy', latency_ms = 7, checked_at = clock_timestamp() WHERE org_id = '00000000-0000-0000-0005-000000000005';
SELECT n_tup_upd - :before AS updated, n_tup_hot_upd - :hot_before AS hot FROM t.table_stats WHERE relname = 'integration_health_status';
COMMIT;
-- the problems are found by their index, in their order
SELECT set_config('request.jwt.claims', t.claims(NULL, 'global_admin'), false) IS NOT NULL AS signed_in;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*), count(DISTINCT status), bool_and(status = 'unhealthy') AS unhealthy, max(status_since) < (SELECT percentile_disc(0.1) WITHIN GROUP (ORDER BY status_since) FROM integration_health_status WHERE status = 'unhealthy') AS oldest FROM get_global_health_problems(100);
COMMIT;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM get_global_health_problems(100);
SELECT seq_scan, idx_tup_fetch <= 400 AS few FROM t.table_stats WHERE relname = 'integration_health_status';
COMMIT;
SELECT array_agg(DISTINCT status ORDER BY status) FROM get_global_health_problems(100000);
SELECT bool_and(ordered) FROM (SELECT (status, status_since, org_id) >= lag((status, status_since, org_id)) OVER () OR status <> lag(status) OVER () AS ordered FROM get_global_health_problems(100000)) AS o;
-- a check that overwrites a slot is a HOT update of it
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', '00000000-0000-0000-0005-000000000002', 'integration_type', 'xledger', 'status', 'healthy'))) FROM generate_series(1, 200);
VACUUM integration_health_history;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(record_health_check('00000000-0000-0000-0005-000000000002', 'xledger', 'healthy', n)) FROM generate_series(1, 20) AS n;
SELECT n_tup_upd, n_tup_hot_upd FROM t.table_stats WHERE relname = 'integration_health_history';
COMMIT;
-- nothing is old: the cleanup reads the status table, and a slot of each pair
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', '00000000-0000-0000-0005-000000000001', 'integration_type', 'xledger', 'status', 'healthy'))) FROM generate_series(1, 200);
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT integration_health_cleanup();
SELECT seq_scan, idx_tup_fetch <= 21000 AS a_slot_of_each FROM t.table_stats WHERE relname = 'integration_health_history';
COMMIT;
-- old rows are deleted, whether the ring is full or has gaps already
UPDATE integration_health_history SET checked_at = now() - interval '31 days' WHERE org_id = '00000000-0000-0000-0005-000000000001' AND check_no < 120;
SELECT integration_health_cleanup();
UPDATE integration_health_history SET checked_at = now() - interval '31 days' WHERE org_id = '00000000-0000-0000-0005-000000000001' AND check_no < 150;
SELECT integration_health_cleanup(max_rows => 10);
SELECT integration_health_cleanup();
SELECT min(check_no), count(*) FROM integration_health_history WHERE org_id = '00000000-0000-0000-0005-000000000001';
-- a late check is old, whatever its slot
SELECT check_no FROM record_health_check('00000000-0000-0000-0005-000000000001', 'xledger', 'healthy', checked_at => now() - interval '40 days');
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', '00000000-0000-0000-0005-000000000001', 'integration_type', 'xledger', 'status', 'healthy'))) FROM generate_series(1, 94);
SELECT count(*), count(*) FILTER (WHERE is_late) AS late FROM integration_health_history WHERE org_id = '00000000-0000-0000-0005-000000000001';
SELECT integration_health_cleanup();
SELECT count(*), count(*) FILTER (WHERE is_late) AS late FROM integration_health_history WHERE org_id = '00000000-0000-0000-0005-000000000001';
SELECT * FROM t.violations(cleaned => true);
TRUNCATE integration_health_status;

-- record_health_checks reads a batch once, and finds a bad entry without a subtransaction for each.
\i test/fixtures/preamble.sql
-- however many entries there are before the bad one, the search takes the same number of transaction ids
CREATE FUNCTION t.xids_of_a_bad_batch(entries integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint;
BEGIN
  before := txid_snapshot_xmax(txid_current_snapshot());
  PERFORM t.error(format('SELECT record_health_checks(%L)', (
    SELECT jsonb_agg(jsonb_build_object('org_id', ('00000000-0000-0000-0003-' || lpad(n::text, 12, '0'))::uuid, 'integration_type', 'xledger',
             'status', 'healthy', 'latency_ms', CASE WHEN n = entries THEN -1 END) ORDER BY n)
      FROM generate_series(1, entries) n)));
  RETURN txid_snapshot_xmax(txid_current_snapshot()) - before;
END $$;
BEGIN;
SELECT txid_current() > 0 AS has_xid;
COMMIT;
SELECT t.xids_of_a_bad_batch(1000) < 10 AS few;
SELECT t.error(format('SELECT record_health_checks(%L)', (
  SELECT jsonb_agg(jsonb_build_object('org_id', :'org_a', 'integration_type', CASE WHEN n IN (700, 800) THEN 'nowhere' ELSE 'xledger' END, 'status', 'healthy') ORDER BY n)
    FROM generate_series(1, 1000) n)));
SELECT count(*) FROM integration_health_status;

-- many checks of one pair: each recorded once, in the order of their times
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger', 'status', CASE WHEN n % 2 = 0 THEN 'healthy' ELSE 'unhealthy' END,
         'latency_ms', n, 'checked_at', now() - n * interval '1 second') ORDER BY n)) FROM generate_series(1, 500) n;
SELECT check_no, latency_ms, status FROM integration_health_status;
SELECT count(*), min(check_no), max(check_no), bool_and(latency_ms = 501 - check_no) AS in_order FROM integration_health_history;
SELECT * FROM t.violations();

-- failing pairs move their monitors, each found by its key, also with statistics that were made before the rows were committed
TRUNCATE integration_health_status, integration_monitors;
INSERT INTO integration_monitors (org_id, integration_type, due_at, claimed_at)
SELECT ('00000000-0000-0000-0004-' || lpad(n::text, 12, '0'))::uuid, 'xledger', now() + interval '15 minutes', now() FROM generate_series(1, 1000) n;
BEGIN;
UPDATE pg_class SET reltuples = 0, relpages = pg_relation_size(oid) / 8192 WHERE oid IN ('integration_monitors'::regclass, 'integration_monitors_pkey'::regclass, 'integration_monitors_due'::regclass);
SELECT count(record_health_checks(c)) FROM (
  SELECT jsonb_agg(jsonb_build_object('org_id', org_id, 'integration_type', 'xledger', 'status', 'unhealthy')) AS c
    FROM integration_monitors, generate_series(1, 3) AS check_no GROUP BY check_no) AS batches;
SELECT count(*) FROM integration_monitors WHERE due_at > now() + interval '45 minutes';
SELECT idx_tup_fetch < 20000 AS few_rows_read, seq_scan < 10 * tables AS few_scans FROM t.table_stats WHERE relname = 'integration_monitors';
ROLLBACK;
TRUNCATE integration_health_status, integration_monitors;

-- what follows from failing checks reads no more rows for the last pair than for the first, also with plans from when all was empty
VACUUM ANALYZE integration_health_transitions, integration_incidents, integration_alerts, integration_maintenance;
DISCARD PLANS;
BEGIN;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', ('00000000-0000-0000-0004-' || lpad(n::text, 12, '0'))::uuid, 'integration_type', 'xledger',
         'status', s.status, 'http_status', s.http_status)))
  FROM (VALUES (1, 'healthy', 200), (2, 'unhealthy', 401), (3, 'unhealthy', 401), (4, 'healthy', 200), (5, 'unhealthy', 401)) AS s (round, status, http_status),
       generate_series(1, 1000) n GROUP BY s.round ORDER BY s.round;
SELECT relname, seq_tup_read + idx_tup_fetch < 30000 AS few_rows_read FROM t.table_stats
 WHERE relname IN ('integration_health_transitions', 'integration_incidents', 'integration_alerts') ORDER BY relname;
ROLLBACK;

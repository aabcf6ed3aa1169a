-- An INSERT that carries check_no and recorded_at is a restored row: stored as it stands, nothing
-- copied, nothing counted. As the owner: that is who restores.
\i test/fixtures/preamble.sql
INSERT INTO integration_health_status
  (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at)
VALUES (:'org_a', 'xledger', 'unhealthy', '2026-01-01', '2025-12-31', 4, 500, '2026-01-01'),
       (:'org_a', 'dynamics', 'healthy', '2026-01-01', '2025-12-31', 0, 1, '2026-01-01'),
       -- from a server whose clock is ahead
       (:'org_b', 'dynamics', 'healthy', '2026-01-01', '2025-12-31', 0, 1, now() + interval '1 hour');
SELECT integration_type, status, status_since, last_healthy_at, consecutive_failures, check_no FROM integration_health_status ORDER BY 1, 6;
SELECT count(*) FROM integration_health_history;
SELECT count(*) FROM integration_health_counts;
-- half restored is an error
SELECT t.error($$INSERT INTO integration_health_status (org_id, integration_type, status, check_no)
  VALUES ('00000000-0000-0000-0000-00000000000c', 'xledger', 'healthy', 3)$$);
SELECT t.error($$INSERT INTO integration_health_status (org_id, integration_type, status, recorded_at)
  VALUES ('00000000-0000-0000-0000-00000000000c', 'xledger', 'healthy', now())$$);
-- the next check goes on from where the row was
SELECT check_no, consecutive_failures, status_since FROM record_health_check(:'org_a', 'xledger', 'unhealthy', checked_at => '2026-01-02');

-- put back by the transaction that recorded it
TRUNCATE integration_health_status;
BEGIN;
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
CREATE TEMP TABLE kept_status ON COMMIT DROP AS TABLE integration_health_status;
CREATE TEMP TABLE kept_history ON COMMIT DROP AS TABLE integration_health_history;
DELETE FROM integration_health_status;
INSERT INTO integration_health_status TABLE kept_status;
SELECT count(*) AS copied FROM integration_health_history;
INSERT INTO integration_health_history TABLE kept_history;
INSERT INTO integration_health_counts VALUES ('xledger', 'healthy', 1);
-- and a new pair, in the same statement as an old one that is there already
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at)
SELECT :'org_b', 'xledger', 'healthy', now(), NULL::timestamptz, NULL::integer, NULL::bigint, NULL::timestamptz
UNION ALL SELECT org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at FROM kept_status
ON CONFLICT DO NOTHING;
SELECT * FROM t.violations();
DELETE FROM integration_health_status;
SELECT count(record_health_check(:'org_a', 'xledger', 'unhealthy')) AS recorded;
SELECT * FROM t.violations();
COMMIT;
SELECT * FROM t.violations();

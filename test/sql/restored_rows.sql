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

-- a restored type, known by its created_at, replaces the seed of its key, whether rows refer to it
-- or not; read and written back whole, as a client does, it is an ordinary upsert
TRUNCATE integration_health_status;
BEGIN;
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
INSERT INTO integration_types (integration_type, display_name, check_interval, created_at)
VALUES ('xledger', 'Xledger of ours', '1 hour', '2026-01-01'), ('fortnox', 'Fortnox', '20 minutes', '2026-01-01');
SELECT integration_type, display_name, check_interval, created_at = '2026-01-01' AS restored FROM integration_types ORDER BY 1;
INSERT INTO integration_types SELECT * FROM integration_types WHERE integration_type = 'xledger'
ON CONFLICT (integration_type) DO UPDATE SET display_name = 'Renamed' RETURNING display_name, check_interval;
SELECT t.error($$INSERT INTO integration_types (integration_type, display_name) VALUES ('fortnox', 'Again')$$);
-- a restored status row whose type is still to come holds a place for it; a new check does not
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at)
VALUES (:'org_b', 'visma', 'healthy', '2026-01-01', '2026-01-01', 0, 7, '2026-01-01'), (:'org_a', 'visma', 'healthy', '2026-01-01', '2026-01-01', 0, 9, '2026-01-01');
SELECT integration_type, display_name FROM integration_types WHERE integration_type = 'visma';
INSERT INTO integration_types (integration_type, display_name, created_at) VALUES ('visma', 'Visma', '2026-01-01');
SELECT integration_type, display_name FROM integration_types WHERE integration_type = 'visma';
SELECT t.error($$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'unheard_of', 'healthy')$$);
ROLLBACK;

-- Each recorded check is in the history, exactly once, whatever the writer's statement.
\i test/fixtures/preamble.sql
SET ROLE service_role;

-- a first insert, then an update
INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms, http_status, checked_at)
VALUES (:'org_a', 'xledger', 'healthy', 120, 200, '2026-01-01 00:00');
UPDATE integration_health_status
   SET status = 'unhealthy', latency_ms = NULL, http_status = 503, error = 'down', checked_at = '2026-01-01 00:15'
 WHERE org_id = :'org_a';
SELECT status, latency_ms, http_status, error, checked_at, check_no FROM integration_health_status;
SELECT slot, check_no, status, latency_ms, http_status, error, checked_at
  FROM integration_health_history ORDER BY check_no;

-- both kinds of ON CONFLICT, for a pair that exists and for one that does not
INSERT INTO integration_health_status AS s (org_id, integration_type, status, checked_at)
VALUES (:'org_a', 'xledger', 'degraded', '2026-01-01 00:30'), (:'org_b', 'xledger', 'degraded', '2026-01-01 00:30')
ON CONFLICT (org_id, integration_type) DO UPDATE
   SET org_id = EXCLUDED.org_id, integration_type = EXCLUDED.integration_type,
       status = EXCLUDED.status, checked_at = EXCLUDED.checked_at
RETURNING org_id = :'org_a' AS is_a, status, check_no, http_status;
INSERT INTO integration_health_status (org_id, integration_type, status)
VALUES (:'org_a', 'xledger', 'healthy'), (:'org_a', 'dynamics', 'healthy')
ON CONFLICT DO NOTHING
RETURNING integration_type, check_no;
INSERT INTO integration_health_status AS s (org_id, integration_type, status)
VALUES (:'org_a', 'xledger', 'healthy')
ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status WHERE s.check_no < 0
RETURNING check_no;
SELECT * FROM t.violations();

-- one pair twice in one statement: with DO NOTHING the first row counts, with DO UPDATE it is PostgreSQL's own error
INSERT INTO integration_health_status (org_id, integration_type, status)
VALUES (:'org_b', 'dynamics', 'healthy'), (:'org_b', 'dynamics', 'unhealthy')
ON CONFLICT DO NOTHING;
SELECT t.error($$INSERT INTO integration_health_status (org_id, integration_type, status)
  VALUES ('00000000-0000-0000-0000-00000000000c', 'xledger', 'healthy'), ('00000000-0000-0000-0000-00000000000c', 'xledger', 'healthy')
  ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status$$);
SELECT * FROM t.violations();

-- MERGE
MERGE INTO integration_health_status s
USING (VALUES (:'org_a'::uuid, 'xledger', 'healthy'::integration_health_state),
              ('00000000-0000-0000-0000-00000000000d', 'xledger', 'unhealthy')) AS v (org_id, integration_type, status)
   ON s.org_id = v.org_id AND s.integration_type = v.integration_type
 WHEN MATCHED THEN UPDATE SET status = v.status
 WHEN NOT MATCHED THEN INSERT (org_id, integration_type, status) VALUES (v.org_id, v.integration_type, v.status);
SELECT * FROM t.violations();

-- COPY
COPY integration_health_status (org_id, integration_type, status, error) FROM STDIN;
00000000-0000-0000-0000-0000000000c1	xledger	healthy	\N
00000000-0000-0000-0000-0000000000c1	dynamics	unhealthy	tls
00000000-0000-0000-0000-0000000000c2	xledger	unknown	\N
\.
SELECT count(*) FROM integration_health_history WHERE org_id >= '00000000-0000-0000-0000-0000000000c1';
SELECT * FROM t.violations();

-- many rows in one statement
INSERT INTO integration_health_status (org_id, integration_type, status)
SELECT ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'dynamics', 'healthy' FROM generate_series(1, 500) n;
UPDATE integration_health_status SET status = 'degraded' WHERE integration_type = 'dynamics';
SELECT count(*), max(check_no) FROM integration_health_history WHERE integration_type = 'dynamics' AND status = 'degraded';
SELECT * FROM t.violations();

-- a savepoint or a whole transaction that is rolled back leaves no trace
BEGIN;
UPDATE integration_health_status SET status = 'unhealthy' WHERE org_id = :'org_a';
SAVEPOINT s;
UPDATE integration_health_status SET status = 'healthy' WHERE org_id = :'org_a';
DELETE FROM integration_health_status WHERE org_id = :'org_b';
ROLLBACK TO s;
UPDATE integration_health_status SET status = 'degraded' WHERE org_id = :'org_a';
COMMIT;
SELECT * FROM t.violations();
BEGIN;
UPDATE integration_health_status SET status = 'healthy';
ROLLBACK;
SELECT * FROM t.violations();
SELECT check_no, status FROM integration_health_history
 WHERE org_id = :'org_a' AND integration_type = 'xledger' ORDER BY check_no;

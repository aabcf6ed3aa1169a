-- A statement of many rows looks for each slot beside the one before: what it finds there is the
-- right row or none, in whatever order the rows come. Every check says in latency_ms what number it is.
\i test/fixtures/preamble.sql
CREATE FUNCTION t.pair(n int) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid;
CREATE VIEW t.wrong AS
  SELECT (SELECT count(*) FROM integration_health_history WHERE latency_ms IS DISTINCT FROM check_no) AS misplaced, (SELECT count(*) FROM t.violations()) AS violations;
CREATE PROCEDURE t.batch(condition text, laps int DEFAULT 1) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..laps LOOP
    EXECUTE 'WITH row AS MATERIALIZED (SELECT org_id, integration_type, check_no FROM integration_health_status ' || condition || ')
      INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms)
      SELECT org_id, integration_type, ''healthy'', check_no + 1 FROM row
      ON CONFLICT (org_id, integration_type) DO UPDATE SET latency_ms = EXCLUDED.latency_ms';
  END LOOP;
END
$$;
INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms) SELECT t.pair(n), 'xledger', 'healthy', 1 FROM generate_series(1, 130) AS n;
CALL t.batch('ORDER BY org_id', 98);
SELECT * FROM t.wrong;
-- backwards, by chance, every other one, and pairs that are at other slots than their neighbours
CALL t.batch('ORDER BY org_id DESC', 3);
CALL t.batch('ORDER BY random()', 3);
CALL t.batch($$WHERE right(org_id::text, 1) IN ('1', '4', '5') ORDER BY org_id$$, 7);
CALL t.batch('ORDER BY org_id', 96);
SELECT * FROM t.wrong;
-- pairs go and come again between their neighbours; another type lies among them
DELETE FROM integration_health_status WHERE right(org_id::text, 1) IN ('2', '3');
CALL t.batch('ORDER BY org_id', 3);
INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms) SELECT t.pair(n), type, 'healthy', 1 FROM generate_series(1, 130) AS n, unnest('{dynamics,xledger}'::text[]) AS type ORDER BY 1, 2 ON CONFLICT DO NOTHING;
CALL t.batch('ORDER BY org_id, integration_type', 96);
SELECT * FROM t.wrong;
-- within one transaction: cleanup, deletion and rollback between the batches
BEGIN;
CALL t.batch('ORDER BY org_id, integration_type');
UPDATE integration_health_history SET checked_at = checked_at - interval '2 days'
 WHERE (org_id, integration_type, slot) IN (SELECT org_id, integration_type, slot FROM integration_health_history LIMIT 2000);
SELECT count(*) > 0 AS cleaned FROM integration_health_cleanup('1 day', 2000);
SAVEPOINT a;
CALL t.batch('ORDER BY integration_type, org_id');
ROLLBACK TO a;
CALL t.batch('ORDER BY org_id, integration_type', 2);
DELETE FROM integration_health_status WHERE right(org_id::text, 1) = '7';
CALL t.batch('ORDER BY org_id, integration_type', 2);
SELECT count(*) AS misplaced FROM integration_health_history WHERE latency_ms IS DISTINCT FROM check_no;
COMMIT;
CALL t.batch('ORDER BY org_id, integration_type', 96);
SELECT * FROM t.wrong;
-- after all rows have moved
VACUUM FULL integration_health_history;
CALL t.batch('ORDER BY org_id, integration_type', 3);
SELECT * FROM t.wrong;
DROP VIEW t.wrong;
DROP FUNCTION t.pair;
DROP PROCEDURE t.batch;

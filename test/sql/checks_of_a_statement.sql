-- What follows from the checks of a statement is applied together, whatever the statement is, and whatever runs within it.
\i test/fixtures/preamble.sql
CREATE FUNCTION pg_temp.org(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
-- the log chains, and leads to the status; the counts are those of the rows; and each incident is of a pair that fails
CREATE TEMPORARY VIEW wrong AS
  SELECT 'chain' AS what, org_id FROM (
    SELECT org_id, from_status, lag(to_status) OVER (PARTITION BY org_id, integration_type ORDER BY check_no) AS before
      FROM integration_health_transitions) AS g WHERE from_status IS DISTINCT FROM before
  UNION ALL
  SELECT 'end', s.org_id FROM integration_health_status AS s
   WHERE s.status IS DISTINCT FROM (
         SELECT g.to_status FROM integration_health_transitions AS g
          WHERE g.org_id = s.org_id AND g.integration_type = s.integration_type ORDER BY g.check_no DESC LIMIT 1)
  UNION ALL
  SELECT 'count', NULL FROM (
    SELECT integration_type, status, sum(delta) AS n FROM integration_health_counts GROUP BY 1, 2 HAVING sum(delta) <> 0) AS c
    FULL JOIN (SELECT integration_type, status, count(*) AS n FROM integration_health_status GROUP BY 1, 2) AS s
   USING (integration_type, status) WHERE c.n IS DISTINCT FROM s.n
  UNION ALL
  SELECT 'incident', org_id FROM (SELECT * FROM integration_incidents WHERE resolved_at IS NULL) AS i
    FULL JOIN (SELECT * FROM integration_health_status WHERE status = 'unhealthy') AS s USING (org_id, integration_type)
   WHERE i.failures IS DISTINCT FROM s.consecutive_failures;
CREATE TEMPORARY VIEW seen AS
  SELECT (SELECT count(*) FROM integration_health_transitions) AS transitions, (SELECT count(*) FROM integration_incidents) AS incidents,
         (SELECT count(*) FROM integration_alerts WHERE kind = 'incident_opened') AS alerts, (SELECT count(*) FROM wrong) AS wrong;

-- more than are kept at a time, some of them first checks; then of two types
INSERT INTO integration_health_status (org_id, integration_type, status)
SELECT pg_temp.org(n), 'xledger', 'healthy' FROM generate_series(1, 1500) AS n;
TABLE seen; TABLE wrong;
INSERT INTO integration_health_status AS s (org_id, integration_type, status, http_status)
SELECT pg_temp.org(n), 'xledger', 'unhealthy', 401 FROM generate_series(1, 2500) AS n
    ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, http_status = EXCLUDED.http_status;
TABLE seen; TABLE wrong;
UPDATE integration_health_status SET status = 'healthy', http_status = 200 WHERE org_id <= pg_temp.org(1200);
TABLE seen; TABLE wrong;
WITH a AS (
  UPDATE integration_health_status SET status = 'degraded' WHERE org_id <= pg_temp.org(2) RETURNING 1
), b AS (
  INSERT INTO integration_health_status (org_id, integration_type, status, cause)
  SELECT pg_temp.org(n), 'dynamics', 'unhealthy', 'auth' FROM generate_series(1, 3) AS n RETURNING 1
) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b);
TABLE seen; TABLE wrong;
DELETE FROM integration_health_status WHERE org_id > pg_temp.org(10);
TABLE seen; TABLE wrong;

-- a trigger of the site that records a check of the same pair, of another one, or in a subtransaction that fails
CREATE FUNCTION t.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.error = 'same' THEN
    UPDATE integration_health_status SET status = 'unhealthy', cause = 'auth', error = 'again'
     WHERE org_id = NEW.org_id AND integration_type = NEW.integration_type;
  ELSIF NEW.error = 'other' THEN
    PERFORM record_health_check(pg_temp.org(20), NEW.integration_type, 'unhealthy', cause => 'auth', error => 'again');
  ELSIF NEW.error = 'fails' THEN
    BEGIN
      UPDATE integration_health_status SET status = 'degraded', error = 'again' WHERE error IS NULL;
      PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER again AFTER INSERT OR UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.again();
UPDATE integration_health_status SET status = 'unhealthy', cause = 'auth', error = 'same' WHERE org_id <= pg_temp.org(2);
SELECT right(org_id::text, 2) AS org, integration_type, status, check_no, consecutive_failures,
       (SELECT array_agg(i.failures) FROM integration_incidents AS i
         WHERE i.org_id = s.org_id AND i.integration_type = s.integration_type AND i.resolved_at IS NULL) AS failures
  FROM integration_health_status AS s WHERE org_id <= pg_temp.org(2) ORDER BY 1, 2;
UPDATE integration_health_status SET status = 'healthy', error = 'other' WHERE org_id <= pg_temp.org(2);
UPDATE integration_health_status SET status = 'unknown', error = 'fails' WHERE org_id <= pg_temp.org(2);
SELECT count(*) FROM integration_health_status WHERE error = 'again' OR status = 'degraded';
TABLE seen; TABLE wrong;
DROP TRIGGER again ON integration_health_status; DROP FUNCTION t.again();

-- in subtransactions of the statement's own
DO $$
BEGIN
  BEGIN
    UPDATE integration_health_status SET status = 'degraded';
    RAISE division_by_zero;
  EXCEPTION WHEN division_by_zero THEN
    UPDATE integration_health_status SET status = 'healthy' WHERE org_id = pg_temp.org(3);
  END;
END
$$;
SELECT status, count(*) FROM integration_health_status GROUP BY 1 ORDER BY 1;
TABLE seen; TABLE wrong;

-- a statement that fails after it has recorded checks leaves nothing to the next
SELECT t.error($$UPDATE integration_health_status SET status = 'degraded', latency_ms = CASE WHEN org_id = pg_temp.org(10) THEN -1 END$$);
UPDATE integration_health_status SET status = 'degraded' WHERE org_id = pg_temp.org(4);
TABLE seen; TABLE wrong;

-- one whose trigger the owner has disabled is not committed
BEGIN;
ALTER TABLE integration_health_status DISABLE TRIGGER zz_integration_health_follow;
UPDATE integration_health_status SET status = 'healthy' WHERE org_id = pg_temp.org(4);
COMMIT;
TABLE seen; TABLE wrong;

-- Where no job folds the counts, writers do, a little as they go; the sums stay exact.
\i test/fixtures/preamble.sql
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
DO $$
BEGIN
  FOR i IN 1..8000 LOOP
    UPDATE integration_health_status
       SET status = CASE status WHEN 'healthy' THEN 'unhealthy' ELSE 'healthy' END::integration_health_state;
    COMMIT;
  END LOOP;
END
$$;
-- 16,001 rows without folding; with this seed there was one
SELECT count(*) < 13000 AS folded FROM integration_health_counts;
SELECT * FROM t.violations();
SELECT integration_health_compact() >= 0 AS folded;
SELECT * FROM integration_health_counts;

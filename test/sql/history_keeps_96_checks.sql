-- 97 checks leave 96 in the trend; a 97th row of a pair cannot exist.
\i test/fixtures/preamble.sql
SET ROLE service_role;
-- one check every 14 minutes, the last one now: all of them within 24 hours
SELECT count(*) FROM generate_series(96, 0, -1) AS n,
  LATERAL record_health_check(:'org_a', 'xledger', 'healthy', 100 + n, 200, checked_at => now() - n * interval '14 minutes') AS r;
SELECT count(*), min(check_no), max(check_no), count(DISTINCT check_no) FROM get_health_trend(:'org_a', 'xledger');
SELECT count(*), min(slot), max(slot), count(DISTINCT slot) FROM integration_health_history;
SELECT check_no FROM integration_health_history WHERE slot = 1;
SELECT * FROM t.violations();

-- five more rounds
SELECT count(record_health_check(:'org_a', 'xledger', 'degraded')) FROM generate_series(1, 480);
SELECT count(*), min(check_no), max(check_no) FROM integration_health_history;
SELECT * FROM t.violations();

-- not even the owner can put a 97th row there
RESET ROLE;
SELECT t.error(format($$INSERT INTO integration_health_history (org_id, integration_type, slot, check_no, status, checked_at)
  VALUES (%L, 'xledger', %s, %s, 'healthy', now())$$, :'org_a', slot, check_no))
  FROM (VALUES (96, 96), (0, 960), (5, 6), (0, 0), (-1, 95)) AS v (slot, check_no);

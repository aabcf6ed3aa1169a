-- The upgraded database goes on: one line for each question, with the answer that is right.
\set QUIET on
SET search_path = ih;
SET ROLE service_role;
SELECT 'next check 131: ' || check_no FROM record_health_check(lpad('1', 32, '0')::uuid, 'xledger', 'healthy');
SELECT 'two of a batch: ' || record_health_checks(jsonb_build_array(
  jsonb_build_object('org_id', lpad('8', 32, '0')::uuid, 'integration_type', 'dynamics', 'status', 'healthy'),
  jsonb_build_object('org_id', lpad('99', 32, '0')::uuid, 'integration_type', 'fortnox', 'status', 'degraded')));
SELECT 'its history 96, slot 35: ' || count(*) || ', slot ' || max(slot) FILTER (WHERE check_no = 131)
  FROM integration_health_history WHERE org_id = lpad('1', 32, '0')::uuid AND integration_type = 'xledger';
RESET ROLE;
SELECT 'counts off 0: ' || count(*) FROM (
  SELECT integration_type, status FROM (
    SELECT integration_type, status, count(*) AS n FROM integration_health_status GROUP BY 1, 2
    UNION ALL SELECT integration_type, status, -delta FROM integration_health_counts) c
   GROUP BY 1, 2 HAVING sum(n) <> 0) off;
SELECT 'pairs without their newest check 0: ' || count(*) FROM integration_health_status s
 WHERE NOT EXISTS (SELECT FROM integration_health_history h
                    WHERE (h.org_id, h.integration_type, h.check_no) = (s.org_id, s.integration_type, s.check_no));
SELECT 'jobs after scheduling again 4: ' || (SELECT count(*) FROM schedule_integration_health_jobs()) + 1;
SELECT 'jobs 4: ' || count(*) FROM cron.job;
SET ROLE authenticated;
SET request.jwt.claims = '{"app_metadata": {"org_id": "00000000-0000-0000-0000-000000000001"}}';
SELECT 'an organisation sees itself only 1: ' || count(DISTINCT org_id) FROM integration_health_status;
SET request.jwt.claims = '{"app_metadata": {"role": "global_admin"}}';
SELECT 'the admin sees pairs 40: ' || sum(total) FROM get_global_health_summary();
RESET ROLE;
DROP EXTENSION integration_health;
CREATE EXTENSION integration_health SCHEMA ih;
SELECT 'drop and create again 0: ' || count(*) FROM integration_health_status;

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
SET ROLE service_role;
SET client_min_messages = error;
SELECT 'checks that were not handed out 3: ' || count(*) FROM claim_due_health_checks(100);
SELECT 'once 0: ' || count(*) FROM claim_due_health_checks(100);
SELECT 'a type that was limited goes on active: ' || monitoring_mode || CASE WHEN passive_until > now() THEN ', later' ELSE '' END FROM resume_active_monitoring('limited');
SELECT 'syncs due 2 after 1, 4 after 0: ' || string_agg(ltrim(right(org_id::text, 12), '0') || ' after ' || attempts, ', ' ORDER BY org_id) FROM get_due_syncs() WHERE org_id <= lpad('5', 32, '0')::uuid;
SELECT 'succeeded f 1, failed t 2, running f 1, not run t 1: ' || string_agg(left(c.claimed::text, 1) || ' ' || c.attempt, ', ' ORDER BY s.org_id)
  FROM integration_sync_schedules s, claim_sync_run(s.org_id, s.integration_type, integration_sync_last_period(s.every, s.anchor, s.time_zone, now())) c
 WHERE s.org_id <= lpad('4', 32, '0')::uuid;
SELECT 'the running one ends succeeded: ' || f.outcome FROM integration_sync_runs r, finish_sync_run(r.org_id, r.integration_type, r.scheduled_for, 1, 'succeeded') f WHERE r.org_id = lpad('3', 32, '0')::uuid;
SELECT 'workers called again 0: ' || dispatch_sync_warm_ups('1 day');
RESET ROLE;
SELECT 'runs up to then are deleted t: ' || left((pruned_until = anchor)::text, 1) FROM integration_sync_schedules WHERE org_id = lpad('6', 32, '0')::uuid;
SELECT 'jobs after scheduling again 6: ' || (SELECT count(*) FROM schedule_integration_health_jobs()) + 1;
SELECT 'jobs 6: ' || count(*) FROM cron.job;
SET ROLE authenticated;
SET request.jwt.claims = '{"app_metadata": {"org_id": "00000000-0000-0000-0000-000000000001"}}';
SELECT 'an organisation sees itself only 1: ' || count(DISTINCT org_id) FROM integration_health_status;
SET request.jwt.claims = '{"app_metadata": {"role": "global_admin"}}';
SELECT 'the admin sees pairs 41: ' || sum(total) FROM get_global_health_summary();
RESET ROLE;
DROP EXTENSION integration_health;
CREATE EXTENSION integration_health SCHEMA ih;
SELECT 'drop and create again 0: ' || (SELECT count(*) FROM integration_health_status) + (SELECT count(*) FROM integration_monitors)
  + (SELECT count(*) FROM integration_sync_schedules) + (SELECT count(*) FROM integration_sync_runs);

-- An organisation is deleted whole, and only that.
\i test/fixtures/preamble.sql
SET client_min_messages = error;
CREATE FUNCTION t.kept() RETURNS TABLE (line text) LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  SELECT format('%s %s', right(org_id::text, 1), what) || ' ' || count(*)
    FROM (SELECT org_id, 'status' AS what FROM integration_health_status UNION ALL SELECT org_id, 'history' FROM integration_health_history
          UNION ALL SELECT org_id, 'monitor' FROM integration_monitors UNION ALL SELECT org_id, 'schedule' FROM integration_sync_schedules
          UNION ALL SELECT org_id, 'run' FROM integration_sync_runs UNION ALL SELECT org_id, 'plan' FROM integration_health_private.sync_plans) AS k
   GROUP BY org_id, what ORDER BY 1
$$;
SET ROLE service_role;
SELECT count(record_health_check(o, type, 'unhealthy')) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o, unnest(ARRAY['xledger', 'dynamics']) AS type, generate_series(1, 3);
SELECT count(set_monitor(o, type)) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o, unnest(ARRAY['xledger', 'dynamics']) AS type;
SELECT count(set_sync_schedule(o, 'xledger', '1 day', now() - interval '30 minutes')) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o;
SELECT count(set_sync_schedule(o, 'xledger', '1 day', now() - interval '30 minutes', enabled => false)) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o;
SELECT count(set_sync_schedule(o, 'xledger', '1 day', now() - interval '30 minutes', enabled => true)) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o;
SELECT count(claim_sync_run(org_id, integration_type, anchor)) FROM integration_sync_schedules;
SELECT * FROM t.kept();
SELECT forget_organisation(:'org_a');
SELECT * FROM t.kept();
SELECT forget_organisation(:'org_a');
SELECT integration_type, status, sum(delta) FROM integration_health_counts GROUP BY 1, 2 HAVING sum(delta) <> 0 ORDER BY 1, 2;
SELECT t.error('SELECT forget_organisation(NULL)');
-- what is recorded later begins anew
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
SELECT * FROM t.violations();
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_a', 'global_admin'), false) IS NOT NULL AS signed_in;
SELECT t.error(format('SELECT forget_organisation(%L)', :'org_a'));

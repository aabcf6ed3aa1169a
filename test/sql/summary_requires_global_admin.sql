-- get_global_health_summary and get_global_health_problems: for the admin role of the claims, and
-- for nobody else.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT record_health_checks(jsonb_agg(jsonb_build_object(
    'org_id', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'integration_type', 'xledger',
    'status', (ARRAY['healthy','healthy','degraded','unhealthy','unknown','healthy'])[n], 'http_status', 200 + n,
    'checked_at', '2026-01-01'::timestamptz - n * interval '1 day')))
  FROM generate_series(1, 6) n;
SELECT count(record_health_check('00000000-0000-0000-0000-000000000001', 'xledger', 'unhealthy', checked_at => '2026-01-02')) AS recorded;

SET ROLE authenticated;
SELECT c AS claims, t.error('SELECT get_global_health_summary()') AS summary, t.error('SELECT get_global_health_problems()') = t.error('SELECT get_global_health_summary()') AS problems_too
  FROM (SELECT c, set_config('request.jwt.claims', c, false) FROM unnest(ARRAY[
    '', '{}', '{"role": "authenticated"}', '{"role": "service_role"}', '{"user_metadata": {"role": "global_admin"}}',
    '{"app_metadata": {"role": "admin"}}', '{"app_metadata": {"role": "GLOBAL_ADMIN"}}', '{"app_metadata": {"role": "global_admin "}}',
    '{"app_metadata": {"role": ["editor", "global_admins"]}}', '{"app_metadata": {"roles": "global_admin"}}', '{"app_metadata": {"role": []}}',
    '{"app_metadata": {"role": null}}', '{"app_metadata": "global_admin"}', '{"global_admin": true}',
    '{"app_metadata": {"role": {"name": "global_admin"}}}', '{"app_metadata": {"role": true}}', '{"app_metadata": {"role": [["global_admin"]]}}',
    '["global_admin"]', '"global_admin"', 'global_admin', '{"app_metadata": {"role": "global_admin"}']) AS c OFFSET 0) AS v;
SELECT set_config('request.jwt.claims', NULL, false);
SELECT t.error('SELECT get_global_health_summary()');

SELECT c AS claims, t.error('SELECT get_global_health_summary()') AS summary
  FROM (SELECT c, set_config('request.jwt.claims', c, false) FROM unnest(ARRAY[
    '{"app_metadata": {"role": "global_admin"}}', '{"app_metadata": {"role": ["editor", "global_admin"]}}',
    '{"user_role": "global_admin", "role": "authenticated"}', '{"role": "global_admin"}',
    '{"app_metadata": {"role": "editor"}, "user_role": ["global_admin"]}']) AS c OFFSET 0) AS v;
SELECT * FROM get_global_health_summary();
SELECT right(org_id::text, 2) AS org, integration_type, display_name, status, http_status, status_since, consecutive_failures
  FROM get_global_health_problems();
SELECT right(org_id::text, 2) AS org, status FROM get_global_health_problems(max_rows => 2);
SELECT t.error('SELECT get_global_health_problems(0)');
SELECT t.error('SELECT get_global_health_problems(NULL)');
-- being an admin opens the summary, not the organisations
SELECT count(*) FROM integration_health_status;
SELECT t.error('SELECT * FROM integration_health_counts');
-- no admin without EXECUTE
SET ROLE anon;
SELECT t.error('SELECT get_global_health_summary()');
-- the counts are exact after transitions, late results and deletions, folded or not
SET ROLE service_role;
DELETE FROM integration_health_status WHERE status = 'unknown';
SELECT integration_health_compact() >= 0 AS folded;
SELECT count(*) AS unfolded FROM (SELECT FROM integration_health_counts GROUP BY integration_type, status HAVING count(*) > 1) AS c;
SELECT integration_health_compact();
SELECT * FROM integration_health_counts ORDER BY 1, 2;
SELECT * FROM get_global_health_summary();
SELECT * FROM t.violations();
-- in a read-only transaction, as PostgREST runs it
BEGIN READ ONLY;
SELECT integration_type, total, healthy_pct FROM get_global_health_summary();
SELECT count(*) FROM get_global_health_problems();
SELECT count(*) FROM get_org_health_status(:'org_a');
SELECT count(*) FROM get_health_trend(:'org_a', 'xledger');
ROLLBACK;
-- one pair of many that is not healthy shows: percentages are rounded down
RESET ROLE;
TRUNCATE integration_health_status;
INSERT INTO integration_health_status (org_id, integration_type, status)
SELECT pg_catalog.lpad(o::text, 32, '0')::uuid, 'xledger', CASE o WHEN 1 THEN 'unhealthy' ELSE 'healthy' END::integration_health_state
  FROM generate_series(1, 30000) AS o;
SET ROLE service_role;
SELECT integration_type, total, healthy, healthy_pct FROM get_global_health_summary();
RESET ROLE;
TRUNCATE integration_health_status;

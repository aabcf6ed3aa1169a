-- The settings that decide who sees what: only a superuser sets them, and never to user_metadata.
\i test/fixtures/preamble.sql
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
SELECT name, setting, context FROM pg_settings WHERE name LIKE 'integration_health.%' AND name <> 'integration_health.partitions' ORDER BY 1;
SELECT t.error(format('SET integration_health.%s = %L', s, v)) AS error
  FROM (VALUES ('org_claims', ''), ('org_claims', ' '), ('org_claims', 'org_id,'), ('org_claims', ',org_id'), ('org_claims', 'a..b'), ('org_claims', 'a b'),
    ('org_claims', 'a.b.c.d.e'), ('org_claims', repeat('a', 64)), ('org_claims', 'user_metadata.org_id'), ('role_claims', 'role, user_metadata.role'),
    ('role_claims', 'a.user_metadata'), ('role_claims', 'raw_user_meta_data.role'), ('admin_role', ''), ('unheard_of', 'x'),
    ('org_claims', 'tenant.id , org_id')) AS c (s, v);
SET integration_health.org_claims = 'tenant.id';
SET integration_health.admin_role = 'operator';
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', format('{"tenant": {"id": "%s"}, "user_role": "operator"}', :'org_a'), false) IS NOT NULL AS signed_in;
SELECT count(*) FROM integration_health_status;
SELECT count(*) FROM get_global_health_summary();
SELECT t.error('SET integration_health.org_claims = ''sub''');
SELECT t.error('SET integration_health.admin_role = ''authenticated''');
SELECT t.error('SET LOCAL integration_health.role_claims = ''role''');
-- nor before the library is loaded in a new session
\c -
\set QUIET on
\set SHOW_CONTEXT never
\set QUIET off
SET ROLE authenticated;
SET integration_health.admin_role = 'authenticated';
SELECT set_config('request.jwt.claims', '{"role": "authenticated"}', false) IS NOT NULL AS signed_in;
SELECT t.error('SELECT get_global_health_summary()');
SHOW integration_health.admin_role;

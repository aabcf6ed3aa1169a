-- The trusted edition keeps its settings in a table: the owner changes them, nobody else sees it, and a session cannot
-- set what decides who sees what.
\i test/fixtures/preamble.sql
SELECT count(record_health_check(:'org_a', 'xledger', 'healthy')) AS recorded;
-- without a row, and with nulls, the defaults
SELECT * FROM integration_health_private.setting();
INSERT INTO integration_health_private.settings DEFAULT VALUES;
SELECT * FROM integration_health_private.setting();
-- there is one row, and its values must make sense
SELECT v, t.error(format('UPDATE integration_health_private.settings SET %s WHERE true', v)) FROM unnest(ARRAY[
  'is_only = false', $$org_claims = ''$$, $$org_claims = 'org_id,'$$, $$org_claims = 'a..b'$$, $$org_claims = 'a b'$$, $$org_claims = 'a.b.c.d.e'$$,
  $$org_claims = repeat('a', 64)$$, $$org_claims = 'user_metadata.org_id'$$, $$role_claims = 'role, raw_user_meta_data.role'$$, $$admin_role = ''$$,
  $$max_drift = '2 days'$$, $$max_drift = '-1 second'$$]) AS v;
SELECT t.error('INSERT INTO integration_health_private.settings DEFAULT VALUES');
-- what the owner sets holds at once
UPDATE integration_health_private.settings SET org_claims = 'tenant.id, org_id', role_claims = 'user_role', admin_role = 'operator' WHERE is_only;
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', format('{"tenant": {"id": "%s"}, "user_role": "operator"}', :'org_a'), false) IS NOT NULL AS signed_in;
SELECT count(*) FROM integration_health_status;
SELECT count(*) FROM get_global_health_summary();
SELECT set_config('request.jwt.claims', t.claims(:'org_a', 'global_admin'), false) IS NOT NULL AS signed_in;
SELECT count(*) FROM integration_health_status;
SELECT t.error('SELECT get_global_health_summary()');
-- a session cannot set it, nor see or write the table
SET integration_health.admin_role = 'global_admin';
SET integration_health.role_claims = 'app_metadata.role';
SET integration_health.org_claims = 'app_metadata.org_id';
SELECT count(*) FROM integration_health_status;
SELECT t.error('SELECT get_global_health_summary()');
SELECT t.error('SELECT * FROM integration_health_private.settings');
SET ROLE service_role;
SELECT t.error($$UPDATE integration_health_private.settings SET admin_role = 'me' WHERE is_only$$);
-- two of them restrict nobody: a session sets its own
RESET ROLE;
UPDATE integration_health_private.settings SET max_drift = '1 hour', notify = false WHERE is_only;
SET ROLE service_role;
SELECT integration_sync_is_late('59 minutes'), integration_sync_is_late('61 minutes');
SET integration_health.max_drift = 60;
SELECT integration_sync_is_late('59 seconds'), integration_sync_is_late('61 seconds');
SELECT integration_health_private.sends_events();
SET integration_health.notify = on;
SELECT integration_health_private.sends_events();
RESET ROLE;
DELETE FROM integration_health_private.settings WHERE true;
SELECT * FROM integration_health_private.setting();

-- get_org_health_status: the rows of the organisation that was asked for, one for every type.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT record_health_checks(jsonb_build_array(
  jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger', 'status', 'unhealthy', 'http_status', 503, 'error', 'a is down', 'checked_at', now() - interval '29 minutes'),
  jsonb_build_object('org_id', :'org_b', 'integration_type', 'xledger', 'status', 'healthy', 'latency_ms', 7, 'error', NULL, 'checked_at', now() - interval '31 minutes'),
  jsonb_build_object('org_id', :'org_b', 'integration_type', 'dynamics', 'status', 'degraded', 'latency_ms', 4000)));

SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT integration_type, display_name, status, latency_ms, http_status, error, consecutive_failures, is_stale, monitoring_mode,
       checked_at IS NULL AS never, status_since = checked_at AS just_began, last_healthy_at
  FROM get_org_health_status(:'org_a');
SELECT set_config('request.jwt.claims', t.claims(:'org_b'), false) IS NOT NULL AS signed_in;
SELECT integration_type, status, latency_ms, error, is_stale FROM get_org_health_status(:'org_b');

-- whoever may not see the organisation gets no rows, also where it does not exist
SELECT count(*) FROM get_org_health_status(:'org_a');
SELECT count(*) FROM get_org_health_status(gen_random_uuid());
SELECT count(*) FROM get_org_health_status(NULL);
SELECT set_config('request.jwt.claims', '', false);
SELECT count(*) FROM get_org_health_status(:'org_a');
SET ROLE anon;
SELECT t.error($$SELECT get_org_health_status('00000000-0000-0000-0000-00000000000a')$$);
-- row-level security does not apply to the writer, nor to the owner
SET ROLE service_role;
SELECT integration_type, status FROM get_org_health_status(:'org_a');
SELECT integration_type, status FROM get_org_health_status(gen_random_uuid());
SELECT count(*) FROM get_org_health_status(NULL);

-- by display name; a passive type is never stale
UPDATE integration_types SET monitoring_mode = 'passive', display_name = 'A ledger' WHERE integration_type = 'xledger';
SELECT display_name, status, is_stale, monitoring_mode FROM get_org_health_status(:'org_b');
UPDATE integration_types SET monitoring_mode = 'active', display_name = 'Xledger' WHERE integration_type = 'xledger';
-- the plan uses the key for the organisation, and looks at the claims once
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET ROLE authenticated;
SELECT * FROM t.plan($$SELECT * FROM integration_health_private.org_health_status('00000000-0000-0000-0000-00000000000a')$$);

-- A check that failed has a cause: the one that it gives, or what its HTTP status tells.
\i test/fixtures/preamble.sql
SET ROLE service_role;
CREATE VIEW pg_temp.causes AS
  SELECT s.check_no, s.status, s.http_status, s.cause, h.cause IS NOT DISTINCT FROM s.cause AS in_history
    FROM integration_health_status AS s JOIN integration_health_history AS h USING (org_id, integration_type, check_no);
SELECT http_status, (record_health_check(:'org_a', 'xledger', 'unhealthy', http_status => http_status)).cause
  FROM unnest(ARRAY[200, 302, 400, 401, 403, 404, 407, 408, 422, 429, 499, 500, 503, 599, NULL]) AS http_status;
UPDATE integration_types SET monitoring_mode = 'active', passive_until = NULL;
-- for each status but healthy, and only where none is given
SELECT status, (record_health_check(:'org_a', 'xledger', status, http_status => 503)).cause
  FROM unnest(enum_range(NULL::integration_health_state)) AS status;
SELECT cause, (record_health_check(:'org_a', 'xledger', 'unhealthy', http_status => 503, cause => cause)).cause
  FROM unnest(enum_range(NULL::integration_failure_cause)) AS cause;
SELECT (record_health_check(:'org_a', 'xledger', 'healthy', cause => 'dns')).cause;
-- the first check of a pair, too
SELECT (record_health_check(:'org_b', 'xledger', 'unhealthy', http_status => 401)).cause;
SELECT (record_health_check(:'org_b', 'dynamics', 'unhealthy', cause => 'tls')).cause;
-- the history has it, also for a late check
SELECT record_health_check(:'org_b', 'dynamics', 'degraded', http_status => 500, checked_at => now() - interval '1 hour') IS NOT NULL AS recorded;
SELECT check_no, status, cause, is_late FROM integration_health_history WHERE org_id = :'org_b' AND integration_type = 'dynamics' ORDER BY check_no;
SELECT cause FROM integration_health_status WHERE org_id = :'org_b' AND integration_type = 'dynamics';
-- a check is a whole: an update that does not set it leaves none of the last check's, one that sets it to the same keeps it
UPDATE integration_health_status SET status = 'unhealthy', cause = 'tls' WHERE org_id = :'org_b' AND integration_type = 'dynamics' RETURNING cause;
UPDATE integration_health_status SET cause = 'tls' WHERE org_id = :'org_b' AND integration_type = 'dynamics' RETURNING status, cause;
UPDATE integration_health_status SET status = 'unhealthy' WHERE org_id = :'org_b' AND integration_type = 'dynamics' RETURNING status, cause;
INSERT INTO integration_health_status (org_id, integration_type, status, cause) VALUES (:'org_b', 'dynamics', 'unhealthy', 'connect')
  ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, cause = EXCLUDED.cause RETURNING cause;
SELECT * FROM pg_temp.causes WHERE cause = 'connect';
-- in an array
SELECT record_health_checks(jsonb_build_array(
  jsonb_build_object('org_id', :'org_a', 'integration_type', 'dynamics', 'status', 'unhealthy', 'cause', 'timeout'),
  jsonb_build_object('org_id', :'org_b', 'integration_type', 'dynamics', 'status', 'unhealthy', 'http_status', 418)));
SELECT org_id, cause FROM integration_health_status WHERE integration_type = 'dynamics' ORDER BY org_id;
SELECT t.error($$SELECT record_health_checks('[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "xledger", "status": "unhealthy", "cause": "moon"}]')$$);
SELECT t.error($$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'unhealthy', cause => 'moon')$$);
-- and in the reports
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_b'), false) IS NOT NULL AS signed_in;
SELECT integration_type, status, cause FROM get_org_health_status(:'org_b');
SELECT check_no, status, cause FROM get_health_trend(:'org_b', 'dynamics');
SELECT to_status, cause FROM integration_health_transitions WHERE integration_type = 'dynamics' ORDER BY check_no;
SELECT set_config('request.jwt.claims', '{"app_metadata": {"role": "global_admin"}}', false) IS NOT NULL AS signed_in;
SELECT org_id, integration_type, status, cause FROM get_global_health_problems() ORDER BY 1, 2;

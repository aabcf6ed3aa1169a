-- get_health_trend: the checks of the last hours, newest first.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger',
         'status', 'healthy', 'latency_ms', h, 'checked_at', now() - h * interval '1 hour' + interval '1 minute')))
  FROM generate_series(1, 40) AS h;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', :'org_b', 'integration_type', 'xledger', 'status', 'unhealthy')))
  FROM generate_series(1, 3);
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT count(*), min(latency_ms), max(latency_ms) FROM get_health_trend(:'org_a', 'xledger');
SELECT status, latency_ms, http_status, error, check_no, checked_at > now() - interval '3 hours' AS within
  FROM get_health_trend(:'org_a', 'xledger', 3);
SELECT count(*) FROM get_health_trend(:'org_a', 'xledger', hours => 720);
SELECT array_agg(latency_ms) = array_agg(latency_ms ORDER BY checked_at DESC, check_no DESC) AS newest_first
  FROM get_health_trend(:'org_a', 'xledger', 720);
-- another type, another organisation
SELECT count(*) FROM get_health_trend(:'org_a', 'dynamics');
SELECT count(*) FROM get_health_trend(:'org_b', 'xledger');
SELECT count(*) FROM get_health_trend(NULL, NULL);
-- wrong hours are an error for everyone, rows or not
SELECT hours, t.error(format($$SELECT * FROM get_health_trend('00000000-0000-0000-0000-00000000000a', 'xledger', %s)$$, coalesce(hours::text, 'NULL')))
  FROM unnest(ARRAY[NULL, -1, 0, 1, 720, 721, 2147483647]) AS hours;
SELECT t.error($$SELECT * FROM get_health_trend('00000000-0000-0000-0000-00000000000b', 'nothing', 0)$$);
-- as PostgREST calls it: arguments from a JSON body
SELECT t.error($$SELECT r.* FROM (SELECT '{"org_id": "00000000-0000-0000-0000-00000000000b", "hours": 0}'::json AS body) AS p,
  LATERAL (SELECT org_id, hours FROM json_to_record(p.body) AS _ (org_id uuid, hours integer)) AS a,
  LATERAL get_health_trend(org_id => a.org_id, integration_type => 'xledger', hours => a.hours) AS r$$);
-- the plan uses the key for the organisation and the type
SET enable_seqscan = off;
SELECT * FROM t.plan($$SELECT * FROM integration_health_private.health_trend('00000000-0000-0000-0000-00000000000a', 'xledger', 24)$$);

-- Row-level security: a member of one organisation sees nothing of another.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT count(record_health_check(o::uuid, 'xledger', 'healthy')) AS recorded FROM unnest(ARRAY[:'org_a', :'org_a', :'org_b']) AS o;

SET ROLE authenticated;
SELECT c AS claims, t.seen(c) FROM unnest(ARRAY[
    t.claims(:'org_a'), t.claims(:'org_b'), t.claims(:'org_a', 'global_admin'),
    format('{"org_id": "%s"}', :'org_a'), format('{"org_id": ["%s", "%s"]}', :'org_a', :'org_b'),
    format('{"app_metadata": {"org_id": []}, "org_id": "%s"}', :'org_a'),
    format('{"app_metadata": {"org_id": null}, "org_id": "%s"}', :'org_a'),
    format('{"app_metadata": {"org_id": "%s"}, "org_id": "%s"}', :'org_a', :'org_b'),
    format('{"user_metadata": {"org_id": "%s"}}', :'org_a'),
    format('{"app_metadata": {"orgs": "%s"}, "sub": "%s"}', :'org_a', :'org_b'),
    '{}', '']) AS c;
SELECT set_config('request.jwt.claims', NULL, false);
SELECT count(*) FROM integration_health_status;

-- claims that cannot be read are an error, never access
SELECT c AS claims, t.error('SELECT * FROM integration_health_status') AS status,
       t.error('SELECT * FROM integration_health_status') = t.error('SELECT * FROM integration_health_history') AS history_too
  FROM (SELECT c, set_config('request.jwt.claims', c, false) FROM unnest(ARRAY[
    'x', '{', '[]', 'null', '1', '{"org_id": 1}', '{"org_id": true}', '{"org_id": {"id": "x"}}', '{"org_id": ""}', '{"org_id": "no-uuid"}',
    format('{"org_id": "%s,%s"}', :'org_a', :'org_b'), format('{"org_id": ["%s", 1]}', :'org_a'), format('{"org_id": ["%s", null]}', :'org_a'),
    '{"org_id": "\u0000"}', '{"n": 1e1000000}']) AS c OFFSET 0) AS v;
SELECT t.error('SELECT * FROM get_org_health_status(gen_random_uuid())');

-- no statement of a reader changes anything
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT t.error(c) FROM unnest(ARRAY[
  $$INSERT INTO integration_health_status (org_id, integration_type, status) VALUES ('00000000-0000-0000-0000-00000000000a', 'dynamics', 'healthy')$$,
  $$UPDATE integration_health_status SET status = 'healthy'$$, $$DELETE FROM integration_health_status$$,
  $$INSERT INTO integration_health_history SELECT * FROM integration_health_history$$, $$UPDATE integration_health_history SET status = 'healthy'$$,
  $$UPDATE integration_types SET display_name = 'x'$$, $$SELECT record_health_check('00000000-0000-0000-0000-00000000000a', 'xledger', 'healthy')$$,
  $$SELECT record_health_checks('[]')$$, $$SELECT integration_health_cleanup()$$, $$SELECT mark_stale_health()$$, $$SELECT integration_health_compact()$$]) AS c;
SELECT count(*) FROM integration_types;

-- a prepared statement does not keep the organisation, nor the role, that it was prepared under
PREPARE seen AS SELECT string_agg(right(org_id::text, 1), '' ORDER BY org_id) FROM integration_health_status;
EXECUTE seen;
SELECT set_config('request.jwt.claims', t.claims(:'org_b'), false) IS NOT NULL AS signed_in;
EXECUTE seen;
SET ROLE service_role;
EXECUTE seen;
SET ROLE authenticated;
EXECUTE seen;
-- the claims are looked at once a query, and the index is used
SET enable_seqscan = off;
SELECT * FROM t.plan($$SELECT * FROM integration_health_status WHERE integration_type = 'xledger'$$);
SELECT * FROM t.plan($$SELECT * FROM integration_health_history WHERE integration_type = 'xledger' AND slot = 1$$);

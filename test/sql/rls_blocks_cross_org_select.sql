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

-- claims that cannot be read: tables show nothing and raise nothing, whatever is asked of them; functions raise before they look
CREATE TEMPORARY TABLE bad (n serial, claims text);
INSERT INTO bad (claims) SELECT unnest(ARRAY[
    'x', '{', '[]', 'null', '1', '{"org_id": 1}', '{"org_id": true}', '{"org_id": {"id": "x"}}', '{"org_id": ""}', '{"org_id": "no-uuid"}',
    format('{"org_id": "%s,%s"}', :'org_a', :'org_b'), format('{"org_id": ["%s", 1]}', :'org_a'), format('{"org_id": ["%s", null]}', :'org_a'),
    format('{"org_id": ["%s", "x"]}', :'org_a'), '{"org_id": "\u0000"}', '{"n": 1e1000000}', '{"org_id": 1e140000}',
    format('{"org_id": "%s", "sub": "\u0000"}', :'org_a'), format('{"org_id": "%s", "n": 1e140000}', :'org_a'),
    format('{"org_id": "%s", "n": %s%s}', :'org_a', repeat('[', 100000), repeat(']', 100000)),
    format('{"org_id": %s%s}', repeat('[', 100000), repeat(']', 100000)), '{"org_id": "' || repeat('x', 3000) || '"}']);
SELECT left(claims, 60) AS claims, t.seen(claims) AS seen, integration_health_org_ids() AS ids FROM (SELECT * FROM bad ORDER BY n) AS bad;
RESET ROLE;
CREATE FUNCTION t.asked(claims text, query text) RETURNS text LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT set_config('request.jwt.claims', claims, false);
  SELECT t.error(query);
END;
-- t.org_reports: a call of every report on an organisation, for one that is not there and for none.
CREATE FUNCTION t.org_reports() RETURNS SETOF text LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT format('SELECT %s(%s%s)', p.proname, org, CASE WHEN p.pronargs - p.pronargdefaults > 1 THEN ', ''xledger''' END)
    FROM pg_proc AS p, unnest('{gen_random_uuid(),"NULL"}'::text[]) AS org
   WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'get\_%' AND p.proargnames[1] = 'org_id';
END;
SELECT count(*) > 8 AS has_reports FROM t.org_reports();
SET ROLE authenticated;
SELECT DISTINCT relation, t.asked(claims, format('SELECT FROM %I WHERE org_id = %L', relation, org)) AS error
  FROM bad, unnest(ARRAY[:'org_a', :'org_b', '00000000-0000-0000-0000-0000000000ff']) AS org,
       unnest('{integration_health_status,integration_health_history,integration_monitors,integration_sync_schedules,integration_sync_runs}'::text[]) AS relation
 ORDER BY relation;
SELECT left(claims, 60) AS claims, t.asked(claims, format('SELECT get_org_health_status(%L)', :'org_a')) AS status,
       t.asked(claims, format('SELECT get_org_health_status(%L)', :'org_a')) = ALL (ARRAY(SELECT t.asked(claims, q) FROM (
         SELECT t.org_reports() UNION ALL SELECT unnest(ARRAY['SELECT integration_health_can_read(gen_random_uuid())',
           'SELECT integration_health_can_read(NULL)', 'SELECT get_health_trend(gen_random_uuid(), ''xledger'', 0)',
           'SELECT integration_health_private.require_claims()'])) AS question (q))) AS others_too,
       t.asked(claims, 'SELECT get_global_health_summary()') AS summary
  FROM (SELECT * FROM bad ORDER BY n) AS bad;
-- also for those to whom row-level security does not apply
SELECT set_config('request.jwt.claims', '{"org_id": "acme"}', false);
SET ROLE service_role;
SELECT DISTINCT t.error(q) FROM (SELECT t.org_reports() UNION ALL SELECT 'SELECT integration_health_can_read(gen_random_uuid())') AS question (q);
SET ROLE authenticated;
-- what is remembered of the claims is forgotten with them, and with the setting that names them
SELECT t.seen(t.claims(:'org_a')), t.seen('x'), t.seen(t.claims(:'org_a')), t.seen(replace(t.claims(:'org_a'), 'a"', 'b"'));
RESET ROLE;
SET integration_health.org_claims = 'tenant';
SET ROLE authenticated;
SELECT t.seen(t.claims(:'org_a')), t.seen(format('{"tenant": "%s"}', :'org_b'));
RESET ROLE;
RESET integration_health.org_claims;
SET ROLE authenticated;
SELECT t.seen(format('{"tenant": "%s"}', :'org_b')), t.seen(t.claims(:'org_a'));
DROP TABLE bad;

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
SELECT DISTINCT regexp_replace(plan, '^[ >-]+| on .*', '', 'g') AS plan FROM t.plan($$SELECT * FROM integration_health_status WHERE integration_type = 'xledger'$$) AS plan WHERE plan ~ 'Cond|Filter|Plan|Scan using integration_health_\w+_pkey ' ORDER BY 1;
SELECT DISTINCT regexp_replace(plan, '^[ >-]+| on .*', '', 'g') AS plan FROM t.plan($$SELECT * FROM integration_health_history WHERE integration_type = 'xledger' AND slot = 1$$) AS plan WHERE plan ~ 'Cond|Filter|Plan|Scan using integration_health_\w+_pkey ' ORDER BY 1;

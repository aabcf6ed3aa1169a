-- Every change of a status is logged, once and in order, and nothing else is.
\i test/fixtures/preamble.sql
SET timezone = 'UTC';
SET ROLE service_role;
CREATE FUNCTION pg_temp.check(org uuid, status integration_health_state, at text) RETURNS bigint LANGUAGE sql AS $$
  SELECT check_no FROM record_health_check(org, 'xledger', status, checked_at => ('2026-01-01 ' || at || 'Z')::timestamptz) $$;
CREATE VIEW pg_temp.log AS
  SELECT right(org_id::text, 1) AS org, check_no, to_char(at, 'HH24:MI') AS at, from_status, to_status
    FROM integration_health_transitions ORDER BY org_id, integration_type, check_no;
SELECT pg_temp.check(:'org_a', 'healthy', '00:00'), pg_temp.check(:'org_a', 'healthy', '00:15'), pg_temp.check(:'org_a', 'degraded', '00:30'),
       pg_temp.check(:'org_a', 'degraded', '00:45'), pg_temp.check(:'org_a', 'unhealthy', '01:00'), pg_temp.check(:'org_a', 'unhealthy', '01:15');
TABLE pg_temp.log;
-- a late check changes nothing; one of the same time replaces the current one
SELECT pg_temp.check(:'org_a', 'healthy', '00:50'), pg_temp.check(:'org_a', 'unknown', '01:15'), pg_temp.check(:'org_a', 'unknown', '01:30');
TABLE pg_temp.log;
-- what is rolled back was none
BEGIN;
SELECT pg_temp.check(:'org_a', 'healthy', '02:00');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT pg_temp.check(:'org_a', 'degraded', '02:00');
ROLLBACK TO s;
SELECT pg_temp.check(:'org_a', 'healthy', '02:15'), pg_temp.check(:'org_b', 'healthy', '02:15');
COMMIT;
TABLE pg_temp.log;
-- many in a statement, and upserts of every kind
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', :'org_b', 'integration_type', 'xledger',
         'status', (enum_range(NULL::integration_health_state))[1 + n % 2], 'checked_at', '2026-01-02Z'::timestamptz + n * interval '1 minute') ORDER BY n))
  FROM generate_series(1, 5) AS n;
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at) VALUES (:'org_b', 'xledger', 'unhealthy', '2026-01-03Z')
  ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, checked_at = EXCLUDED.checked_at;
UPDATE integration_health_status SET status = 'unknown', checked_at = '2026-01-03 01:00Z' WHERE org_id = :'org_b';
SELECT * FROM pg_temp.log WHERE org = 'b';
-- nobody writes it but the extension
SELECT t.error(c) FROM unnest(ARRAY[
  'INSERT INTO integration_health_transitions (org_id, integration_type, check_no, at, to_status) VALUES (gen_random_uuid(), ''xledger'', 1, now(), ''healthy'')',
  'UPDATE integration_health_transitions SET at = now()', 'DELETE FROM integration_health_transitions', 'TRUNCATE integration_health_transitions']) AS c;
-- members see their own
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_b'), false) IS NOT NULL AS signed_in;
SELECT DISTINCT right(org_id::text, 1) AS org FROM integration_health_transitions;
SELECT t.error('SELECT ctid FROM integration_health_transitions');
RESET request.jwt.claims;
SELECT count(*) FROM integration_health_transitions;
-- they go with their pair, and a new one starts anew
SET ROLE service_role;
DELETE FROM integration_health_status WHERE org_id = :'org_a';
SELECT DISTINCT org FROM pg_temp.log;
SELECT pg_temp.check(:'org_a', 'healthy', '05:00');
SELECT * FROM pg_temp.log WHERE org = 'a';
RESET ROLE;
SELECT * FROM t.violations();
-- a restored row logs nothing: its transitions are restored by themselves
BEGIN;
CREATE TEMPORARY TABLE saved AS SELECT * FROM integration_health_status WHERE org_id = :'org_a';
CREATE TEMPORARY TABLE saved_log AS SELECT * FROM integration_health_transitions WHERE org_id = :'org_a';
DELETE FROM integration_health_status WHERE org_id = :'org_a';
INSERT INTO integration_health_status SELECT * FROM saved;
SELECT count(*) FROM integration_health_transitions WHERE org_id = :'org_a';
INSERT INTO integration_health_transitions SELECT * FROM saved_log;
COMMIT;
SELECT pg_temp.check(:'org_a', 'unhealthy', '06:00');
SELECT * FROM pg_temp.log WHERE org = 'a';
-- after 90 days they go; what is left has the status before in from_status
INSERT INTO integration_health_transitions (org_id, integration_type, check_no, at, from_status, to_status)
SELECT gen_random_uuid(), 'dynamics', n, now() - n * interval '10 days', 'healthy', 'unhealthy' FROM generate_series(1, 20) AS n;
SET ROLE service_role;
SELECT integration_health_cleanup('30 days', 5) AS limited, integration_health_cleanup('100 days') AS beyond_100_days,
       integration_health_cleanup('1 day') AS beyond_90_days;
SELECT count(*) AS left, max(now() - at) < interval '90 days' AS young FROM integration_health_transitions WHERE integration_type = 'dynamics';
RESET ROLE;
TRUNCATE integration_health_status CASCADE;
SELECT count(*) FROM integration_health_transitions;

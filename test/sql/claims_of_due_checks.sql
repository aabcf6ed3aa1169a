-- claim_due_health_checks hands out what is due, once within its interval, and lets failing pairs wait.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT right(org_id::text, 1) AS org, integration_type, enabled, claimed_at, due_at >= now() AND due_at < now() + interval '15 minutes' AS within_interval
  FROM set_monitor(:'org_a', 'xledger');
-- a pair is always due at the same point of its interval, and other pairs are spread over it
SELECT count(set_monitor(('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'xledger')) FROM generate_series(1, 1000) AS n;
SELECT count(*) AS buckets, bool_and(n BETWEEN 30 AND 110) AS even FROM (SELECT count(*) AS n FROM (
  SELECT width_bucket(mod(extract(epoch FROM due_at), 900), 0, 900, 15) AS bucket FROM integration_monitors) AS b GROUP BY bucket) AS c;
RESET ROLE;
SELECT integration_monitor_first_due(:'org_a', 'xledger', '15 minutes', '2026-01-01') = integration_monitor_first_due(:'org_a', 'xledger', '15 minutes', '2026-01-01') AS same,
       integration_monitor_first_due(:'org_a', 'xledger', '15 minutes', '2026-01-01') <> integration_monitor_first_due(:'org_b', 'xledger', '15 minutes', '2026-01-01') AS spread;
DELETE FROM integration_monitors;
SET ROLE service_role;
-- nothing is due at once; then all of it is
SELECT count(set_monitor(o, 'xledger')) FROM unnest(ARRAY[:'org_a', :'org_b']::uuid[]) AS o;
SELECT count(*) FROM set_monitor(:'org_a', 'dynamics', false);
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '1 hour';
SET ROLE service_role;
SELECT right(org_id::text, 1) AS org, integration_type, due_at >= now() + check_interval AND due_at <= clock_timestamp() + check_interval * 1.1 AS next_is_an_interval_later, check_interval
  FROM claim_due_health_checks(1);
SELECT count(*) FROM claim_due_health_checks();
SELECT count(*) FROM claim_due_health_checks();
-- not before the interval has passed since it was handed out, whatever due_at says
RESET ROLE;
UPDATE integration_monitors SET due_at = now() - interval '1 hour';
SET ROLE service_role;
SELECT count(*) FROM claim_due_health_checks();
SELECT bool_and(due_at >= claimed_at + interval '15 minutes') AS moved_on FROM integration_monitors WHERE enabled;
RESET ROLE;
UPDATE integration_types SET check_interval = '1 hour' WHERE integration_type = 'xledger';
UPDATE integration_monitors SET due_at = now() - interval '1 second', claimed_at = now() - interval '20 minutes';
SET ROLE service_role;
SELECT count(*) AS interval_was_raised FROM claim_due_health_checks();
RESET ROLE;
UPDATE integration_types SET check_interval = '15 minutes' WHERE integration_type = 'xledger';
-- a monitor that is made anew waits for an interval after the last recorded check
SET ROLE service_role;
SELECT check_no FROM record_health_check(:'org_a', 'xledger', 'healthy');
DELETE FROM integration_monitors WHERE org_id = :'org_a';
SELECT m.due_at >= s.checked_at + interval '15 minutes' AS waits FROM set_monitor(:'org_a', 'xledger') AS m JOIN integration_health_status AS s USING (org_id, integration_type);
-- backoff: a pair with n failures in a row is handed out after 2 ^ (n - 1) intervals
RESET ROLE;
TRUNCATE integration_health_status, integration_monitors;
CREATE TEMPORARY TABLE pair AS SELECT n, ('00000000-0000-0000-0002-' || lpad(n::text, 12, '0'))::uuid AS org_id FROM generate_series(0, 10) AS n;
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', org_id, 'integration_type', 'xledger', 'status', CASE WHEN n = 0 THEN 'healthy' ELSE 'unhealthy' END)))
  FROM pair, generate_series(1, greatest(n, 1));
CREATE FUNCTION t.handed_out(after interval) RETURNS text LANGUAGE sql AS $$
  UPDATE integration_monitors SET due_at = now() - interval '1 second', claimed_at = now() - after;
  SELECT string_agg(n::text, ' ' ORDER BY n) FROM claim_due_health_checks() JOIN pair USING (org_id);
$$;
SELECT count(set_monitor(org_id, 'xledger')) FROM pair;
SELECT after, t.handed_out(after) FROM unnest(ARRAY['14 minutes', '17 minutes', '29 minutes', '34 minutes', '67 minutes', '133 minutes', '265 minutes', '18 hours', '24 hours']::interval[]) AS after;
-- a pair that has to wait is due when it is ready, and when it recovers it is pulled forward
SELECT t.handed_out('20 minutes');
SELECT bool_and(due_at = integration_monitor_ready_at(org_id, 'xledger', claimed_at, '15 minutes', '24 hours', n)) AS due_when_ready FROM integration_monitors JOIN pair USING (org_id) WHERE n > 1;
SELECT count(record_health_check(org_id, 'xledger', 'healthy')) AS recovered FROM pair;
SELECT bool_and(due_at <= now()) AS pulled_forward FROM integration_monitors JOIN pair USING (org_id) WHERE n > 1;
SELECT t.handed_out('20 minutes');
-- passive types, and types that asked to be left alone, are not handed out; nor disabled pairs
UPDATE integration_types SET passive_until = now() + interval '1 hour' WHERE integration_type = 'xledger';
SELECT t.handed_out('20 minutes');
UPDATE integration_types SET passive_until = now() - interval '1 hour' WHERE integration_type = 'xledger';
SELECT t.handed_out('20 minutes') IS NOT NULL AS handed_out;
UPDATE integration_types SET passive_until = NULL, monitoring_mode = 'passive' WHERE integration_type = 'xledger';
SELECT t.handed_out('20 minutes');
UPDATE integration_types SET monitoring_mode = 'active' WHERE integration_type = 'xledger';
SELECT count(set_monitor(org_id, 'xledger', n % 2 = 0)) FROM pair;
SELECT t.handed_out('20 minutes');
-- more is due than is asked for; pairs that have to wait do not use up the number
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', org_id, 'integration_type', 'xledger', 'status', 'unhealthy'))) FROM pair, generate_series(1, 5) WHERE n < 9;
SELECT count(set_monitor(org_id, 'xledger', true)) FROM pair;
UPDATE integration_monitors SET due_at = now() - (20 - n) * interval '1 minute', claimed_at = now() - interval '20 minutes' FROM pair WHERE pair.org_id = integration_monitors.org_id;
SELECT n FROM claim_due_health_checks(1) JOIN pair USING (org_id);
SELECT n FROM claim_due_health_checks(5) JOIN pair USING (org_id);
SELECT count(*) FROM claim_due_health_checks(5);
SELECT v, t.error(format('SELECT claim_due_health_checks(%s)', v)) FROM unnest(ARRAY['0', '-1', 'NULL']) AS v;
SET ROLE service_role;
SELECT t.error(format('SELECT set_monitor(%s)', v)) FROM unnest(ARRAY[$$NULL, 'xledger'$$, $$gen_random_uuid(), NULL$$, $$'00000000-0000-0000-0000-00000000000a', 'telepathy'$$]) AS v;
SELECT t.error($$UPDATE integration_monitors SET due_at = now()$$);
SELECT t.error($$INSERT INTO integration_monitors (org_id, integration_type, due_at) VALUES (gen_random_uuid(), 'xledger', now())$$);
RESET ROLE;
-- the claim finds due pairs by the index, however many monitors there are, and writes only those that it hands out
TRUNCATE integration_monitors;
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT gen_random_uuid(), 'xledger', now() + (n - 100) * interval '1 second' FROM generate_series(1, 20000) AS n;
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT gen_random_uuid(), 'dynamics', now() - interval '1 day' FROM generate_series(1, 10000) AS n;
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'dynamics';
ANALYZE integration_monitors;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM claim_due_health_checks(50);
SELECT seq_scan, n_tup_upd, idx_tup_fetch <= 120 AS read_what_it_took FROM t.table_stats WHERE relname = 'integration_monitors';
SELECT seq_scan + n_tup_upd + n_tup_ins AS status_writes FROM t.table_stats WHERE relname = 'integration_health_status';
COMMIT;
UPDATE integration_types SET monitoring_mode = 'active' WHERE integration_type = 'dynamics';
-- readers see their own, and claim nothing
INSERT INTO integration_monitors (org_id, integration_type) VALUES (:'org_a', 'dynamics'), (:'org_b', 'dynamics');
SET ROLE authenticated;
SELECT set_config('request.jwt.claims', t.claims(:'org_a'), false) IS NOT NULL AS signed_in;
SELECT right(org_id::text, 1) AS org, integration_type, enabled FROM integration_monitors;
SELECT t.error('SELECT claim_due_health_checks()');
SELECT t.error($$SELECT set_monitor('00000000-0000-0000-0000-00000000000a', 'xledger')$$);
SET ROLE anon;
SELECT t.error('SELECT count(*) FROM integration_monitors');

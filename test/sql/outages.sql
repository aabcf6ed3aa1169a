-- Outages: failing pairs are checked less often, silence is told apart from backoff, passive mode ends by itself.
\i test/fixtures/preamble.sql
CREATE TEMPORARY TABLE pair AS SELECT n, ('00000000-0000-0000-0003-' || lpad(n::text, 12, '0'))::uuid AS org_id FROM generate_series(0, 2000) AS n;
CREATE FUNCTION t.checked(ns int[], status text, more jsonb DEFAULT '{}') RETURNS integer LANGUAGE sql AS $$
  SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', org_id, 'integration_type', 'xledger', 'status', status) || more)) FROM pair WHERE n = ANY (ns);
$$;
CREATE FUNCTION t.touched() RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FROM integration_monitors WHERE xmin::text::bigint = pg_current_xact_id()::text::bigint % 4294967296;
$$;
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT org_id, 'xledger', now() - interval '1 minute' FROM pair;
SELECT count(*) FROM claim_due_health_checks(3000);
-- three failures in a row: the check itself makes the pair due when its backoff ends
SELECT sum(t.checked(array_agg(n), 'unhealthy')) OVER () AS checks FROM pair WHERE n > 0;
SELECT t.checked(array_agg(n), 'unhealthy') FROM pair WHERE n > 0;
SELECT t.checked(array_agg(n), 'unhealthy') FROM pair WHERE n > 0;
SELECT min(due_at - claimed_at) >= interval '1 hour' AND max(due_at - claimed_at) <= interval '66 minutes' AS backoff FROM integration_monitors JOIN pair USING (org_id) WHERE n > 0;
SELECT due_at - claimed_at < interval '17 minutes' AS none FROM integration_monitors JOIN pair USING (org_id) WHERE n = 0;
-- a recovered pair is pulled forward, a fourth failure pushes further, unknown changes nothing
SELECT t.checked(ARRAY[1], 'healthy'), t.checked(ARRAY[2], 'unhealthy'), t.checked(ARRAY[3], 'unknown'), t.checked(ARRAY[4], 'degraded');
SELECT n, round(extract(epoch FROM due_at - claimed_at) / 900 - 0.5) AS intervals FROM integration_monitors JOIN pair USING (org_id) WHERE n BETWEEN 1 AND 5 ORDER BY n;
-- a late failure moves nothing
SELECT t.checked(ARRAY[5], 'unhealthy', '{"checked_at": "2026-01-01T00:00:00Z"}');
SELECT n, round(extract(epoch FROM due_at - claimed_at) / 900 - 0.5) AS intervals FROM integration_monitors JOIN pair USING (org_id) WHERE n = 5;
-- besides the pairs that it hands out, a claim touches at most a small multiple of max_rows, whatever due_at says
BEGIN;
SELECT count(*) FROM claim_due_health_checks(100);
SELECT t.touched();
ROLLBACK;
UPDATE integration_monitors AS m SET due_at = now() - interval '3 seconds' + n * interval '1 millisecond' FROM pair AS p WHERE p.org_id = m.org_id;
UPDATE integration_monitors SET claimed_at = now() - interval '20 minutes';
BEGIN;
SELECT count(*) AS claimed FROM claim_due_health_checks(10);
SELECT t.touched() BETWEEN 40 AND 59 AS few;
COMMIT;
-- the pairs that it passed over are no longer in the way
SELECT count(*) FROM claim_due_health_checks(2000);
SELECT count(*) FROM claim_due_health_checks(2000);
SELECT count(*) AS due FROM integration_monitors WHERE due_at <= now();

-- silence: three failures, the last 35 minutes ago, and a monitor that waits for an hour
TRUNCATE integration_health_status, integration_monitors;
CREATE FUNCTION t.silent(ns int[], since interval, failures int DEFAULT 0, type text DEFAULT 'xledger') RETURNS void LANGUAGE sql AS $$
  DELETE FROM integration_health_status AS s USING pair AS p WHERE s.org_id = p.org_id AND p.n = ANY (ns);
  INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at)
  SELECT org_id, type, CASE WHEN failures > 0 THEN 'unhealthy' ELSE 'healthy' END::integration_health_state, now() - since, now() - since, failures, 5, now() - since FROM pair WHERE n = ANY (ns);
$$;
CREATE FUNCTION t.stale(ns int[]) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat(n, ':', g.is_stale), ' ' ORDER BY n) FROM pair, get_org_health_status(org_id) AS g WHERE n = ANY (ns) AND g.integration_type = 'xledger';
$$;
CREATE FUNCTION t.marked() RETURNS text LANGUAGE plpgsql AS $$
DECLARE marked bigint;
BEGIN
  marked := mark_stale_health();
  RETURN (SELECT concat(marked, ': ', string_agg(n::text, ' ' ORDER BY n)) FROM integration_health_status JOIN pair USING (org_id) WHERE status = 'unknown');
END
$$;
SELECT set_config('request.jwt.claims', jsonb_build_object('role', 'authenticated', 'org_id', (SELECT jsonb_agg(org_id) FROM pair WHERE n < 20))::text, false) IS NOT NULL AS signed_in;
SELECT FROM t.silent(ARRAY[1, 2, 3], '35 minutes', 3);
SELECT FROM t.silent(ARRAY[4, 5], '35 minutes');
SELECT FROM t.silent(ARRAY[6], '121 minutes', 3);
SELECT count(set_monitor(org_id, 'xledger', n <> 2)) FROM pair WHERE n IN (1, 2, 5, 6);
UPDATE integration_monitors SET claimed_at = now() - interval '35 minutes', due_at = now() - interval '20 minutes' WHERE org_id = (SELECT org_id FROM pair WHERE n = 5);
UPDATE integration_monitors SET claimed_at = now() - interval '121 minutes', due_at = now() - interval '61 minutes' WHERE org_id = (SELECT org_id FROM pair WHERE n = 6);
-- 1 waits; 2 is not monitored; 3 and 4 have no monitor; 5 is healthy and overdue; 6 waited for its hour twice
SELECT t.stale(ARRAY[1, 2, 3, 4, 5, 6]);
SELECT t.marked();
-- a new monitor is due within an interval: no check is expected until one more interval has passed
SELECT FROM t.silent(ARRAY[7, 8], '31 minutes');
SELECT count(set_monitor(org_id, 'xledger')) FROM pair WHERE n IN (7, 8);
UPDATE integration_monitors SET due_at = now() + interval '10 minutes' WHERE org_id IN (SELECT org_id FROM pair WHERE n IN (7, 8));
-- 8 was handed out and never came back
UPDATE integration_monitors SET claimed_at = now() - interval '5 minutes' WHERE org_id = (SELECT org_id FROM pair WHERE n = 8);
SELECT t.stale(ARRAY[7, 8]);
-- no check is expected while a monitor is disabled, or a type passive or told to wait, nor before its interval was changed
SELECT FROM t.silent(ARRAY[9, 10], '47 hours');
SELECT count(set_monitor(org_id, 'xledger', false)) FROM pair WHERE n = 9;
UPDATE integration_monitors SET due_at = now() - interval '2 days' WHERE org_id = (SELECT org_id FROM pair WHERE n = 9);
SELECT m.due_at > now() AND m.due_at <= clock_timestamp() + interval '15 minutes' AS due_within_an_interval FROM pair, set_monitor(pair.org_id, 'xledger', true) AS m WHERE n = 9;
SELECT t.stale(ARRAY[9, 10]);
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'xledger';
SELECT t.stale(ARRAY[9, 10]);
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
SELECT t.stale(ARRAY[9, 10]);
UPDATE integration_types SET planned_since = NULL;
SELECT t.stale(ARRAY[10]);
UPDATE integration_types SET passive_until = now() + interval '10 minutes' WHERE integration_type = 'xledger';
SELECT t.stale(ARRAY[10]);
UPDATE integration_types SET passive_until = NULL, check_interval = '1 day' WHERE integration_type = 'xledger';
SELECT t.stale(ARRAY[10]);
UPDATE integration_types SET check_interval = '15 minutes' WHERE integration_type = 'xledger';
SELECT t.stale(ARRAY[10]);
UPDATE integration_types SET planned_since = NULL;
SELECT t.stale(ARRAY[10]);

-- due_at follows from the intervals of the type
TRUNCATE integration_health_status, integration_monitors;
UPDATE integration_types SET check_interval = '1 day', max_backoff = '30 days' WHERE integration_type = 'xledger';
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT org_id, 'xledger', now() - interval '1 minute' + n * interval '1 millisecond' FROM pair WHERE n < 100;
SELECT count(*) FROM claim_due_health_checks(50);
-- in one transaction, because pairs that were handed out wait for 15 minutes from then
BEGIN;
UPDATE integration_monitors SET claimed_at = CASE WHEN org_id IN (SELECT org_id FROM pair WHERE n < 20) THEN now() - interval '1 hour' ELSE now() END
 WHERE claimed_at IS NOT NULL;
UPDATE integration_types SET check_interval = '15 minutes', max_backoff = '1 day' WHERE integration_type = 'xledger';
SELECT count(*) FILTER (WHERE due_at < now() + interval '15 minutes') AS soon, count(*) FILTER (WHERE due_at <= now()) AS overdue_as_before,
  count(DISTINCT date_trunc('minute', due_at)) > 10 AS spread FROM integration_monitors;
COMMIT;
UPDATE integration_types SET passive_until = now() + interval '20 hours', max_backoff = '2 hours' WHERE integration_type = 'xledger';
SELECT passive_until <= clock_timestamp() + interval '2 hours' AS shorter FROM integration_types WHERE integration_type = 'xledger';
UPDATE integration_types SET passive_until = NULL, max_backoff = '24 hours' WHERE integration_type = 'xledger';
UPDATE integration_types SET planned_since = NULL;

-- after an outage of the monitor the pairs are handed out, and spread over the interval after the next
TRUNCATE integration_monitors;
INSERT INTO integration_monitors (org_id, integration_type, due_at, claimed_at) SELECT org_id, 'xledger', now() - interval '2 hours', now() - interval '2 hours 15 minutes' FROM pair WHERE n < 1000;
SELECT count(*), min(due_at) >= now() + interval '15 minutes' AS never_sooner, max(due_at) <= clock_timestamp() + interval '32 minutes' AS within_the_next, count(DISTINCT date_trunc('minute', due_at)) > 13 AS spread
  FROM claim_due_health_checks(1000);

-- a clock that was a year ahead
TRUNCATE integration_monitors;
INSERT INTO integration_monitors (org_id, integration_type, due_at, claimed_at) SELECT org_id, 'xledger', now() + interval '366 days', now() + interval '365 days' FROM pair WHERE n < 10;
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT org_id, 'xledger', now() + interval '366 days' FROM pair WHERE n = 10;
SELECT count(*) FROM claim_due_health_checks(10);
SELECT count(*), bool_and(due_at <= clock_timestamp() + interval '15 minutes') AS soon, count(claimed_at) >= 9 AS nearly_all_claimed, bool_and(claimed_at <= clock_timestamp()) AS past FROM integration_monitors WHERE due_at < now() + interval '1 day';
SELECT count(*) FROM claim_due_health_checks(10);
SELECT count(*) AS left_over FROM integration_monitors WHERE due_at > now() + interval '1 day';
UPDATE integration_types SET passive_until = now() + interval '365 days' WHERE integration_type = 'xledger';
UPDATE integration_monitors SET due_at = now(), claimed_at = NULL;
SELECT count(*) AS not_waited_for FROM claim_due_health_checks(5);
UPDATE integration_types SET passive_until = NULL;
-- a monitor that is ahead by less than the longest backoff: its pair is stale, so it becomes due
TRUNCATE integration_health_status, integration_monitors;
SELECT FROM t.silent(ARRAY[1, 2], '2 hours');
INSERT INTO integration_monitors (org_id, integration_type, due_at, claimed_at) SELECT org_id, 'xledger', now() + interval '20 hours', now() + interval '19 hours 45 minutes' FROM pair WHERE n = 1;
SELECT t.marked();
SELECT due_at <= now() AS is_due, claimed_at <= now() AS past FROM integration_monitors;

-- a rate limit ends by a probe
TRUNCATE integration_health_status, integration_monitors;
CREATE FUNCTION t.mode() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', monitoring_mode, probes, round(extract(epoch FROM passive_until - clock_timestamp()) / 60), passive_reason) FROM integration_types WHERE integration_type = 'xledger';
$$;
CREATE FUNCTION t.time_passes() RETURNS void LANGUAGE sql AS $$
  UPDATE integration_types SET passive_until = clock_timestamp() WHERE integration_type = 'xledger';
$$;
SELECT t.checked(array_agg(n), 'healthy', '{"http_status": 200}') FROM pair WHERE n < 10;
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT org_id, 'xledger', now() - n * interval '1 second' FROM pair WHERE n < 10;
SELECT t.checked(ARRAY[3], 'degraded', '{"http_status": 429}');
SELECT t.mode();
SELECT count(*) FROM claim_due_health_checks();
SELECT FROM t.time_passes();
SELECT n FROM claim_due_health_checks() JOIN pair USING (org_id);
SELECT n FROM claim_due_health_checks() JOIN pair USING (org_id);
SELECT t.mode();
-- other checks are not answers, nor is a late one
SELECT t.checked(ARRAY[8, 3], 'healthy'), t.checked(ARRAY[9], 'healthy', '{"checked_at": "2026-01-01T00:00:00Z"}');
SELECT t.mode();
SELECT n, is_probe FROM integration_health_status JOIN pair USING (org_id) WHERE is_probe;
-- rate limited again: the wait is twice as long
SELECT t.checked(ARRAY[9], 'degraded', '{"http_status": 429}');
SELECT t.mode();
SELECT FROM t.time_passes();
SELECT n FROM claim_due_health_checks() JOIN pair USING (org_id);
SELECT t.mode();
-- if the system asks for a time, the wait is as long as that
SELECT t.checked(ARRAY[8], 'degraded', '{"http_status": 429, "retry_after": 600}');
SELECT t.mode();
SELECT FROM t.time_passes();
SELECT n FROM claim_due_health_checks() JOIN pair USING (org_id);
-- answered by a failure of another kind: the type is active, and its due pairs are spread over the next interval
SELECT t.checked(ARRAY[7], 'unhealthy', '{"http_status": 503}');
SELECT t.mode();
SELECT count(*) FILTER (WHERE due_at <= now()) AS overdue, max(due_at) <= clock_timestamp() + interval '15 minutes' AS soon FROM integration_monitors JOIN pair USING (org_id) WHERE n < 7;
SELECT count(*) AS probes FROM integration_health_status WHERE is_probe;
-- a probe that was never answered does not count the next time; the first check of a pair may be the answer
SELECT t.checked(ARRAY[6], 'degraded', '{"http_status": 429}');
UPDATE integration_monitors SET due_at = clock_timestamp() - interval '1 minute', claimed_at = NULL WHERE org_id = (SELECT org_id FROM pair WHERE n = 5);
SELECT FROM t.time_passes();
SELECT n FROM claim_due_health_checks() JOIN pair USING (org_id);
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
SELECT t.checked(ARRAY[6], 'degraded', '{"http_status": 429}');
SELECT t.checked(ARRAY[5], 'healthy');
SELECT t.mode();
INSERT INTO integration_monitors (org_id, integration_type, due_at) SELECT org_id, 'xledger', now() - interval '1 hour' FROM pair WHERE n = 11;
SELECT FROM t.time_passes();
SELECT n FROM claim_due_health_checks() JOIN pair USING (org_id);
SELECT t.checked(ARRAY[11], 'healthy');
SELECT t.mode();
-- a type that was made passive by hand, without passive_until, is not probed
UPDATE integration_types SET monitoring_mode = 'passive' WHERE integration_type = 'xledger';
UPDATE integration_monitors SET due_at = now() - interval '1 minute', claimed_at = NULL;
SELECT count(*) FROM claim_due_health_checks();
SELECT monitoring_mode, passive_since IS NULL AS since FROM resume_active_monitoring('xledger');
-- a change of mode is an ordinary update: a deferred trigger of the site fires, and one that drops the row causes an error
CREATE TABLE t.seen (mode text);
GRANT INSERT ON t.seen TO PUBLIC;
CREATE FUNCTION t.see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO t.seen VALUES (NEW.monitoring_mode); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER see AFTER UPDATE ON integration_types DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t.see();
SELECT t.checked(ARRAY[6], 'degraded', '{"http_status": 429}');
SELECT * FROM t.seen;
DROP TRIGGER see ON integration_types;
SELECT monitoring_mode FROM resume_active_monitoring('xledger');
CREATE FUNCTION t.swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER swallow BEFORE UPDATE ON integration_types FOR EACH ROW EXECUTE FUNCTION t.swallow();
SELECT t.checked(ARRAY[6], 'degraded', '{"http_status": 429}');
SELECT t.error('SELECT resume_active_monitoring(''xledger'')');
DROP TRIGGER swallow ON integration_types;
SELECT t.mode();
-- an interval that somebody has set to null is named in the error
BEGIN;
ALTER TABLE integration_types ALTER check_interval DROP NOT NULL;
UPDATE integration_types SET check_interval = NULL WHERE integration_type = 'xledger';
SELECT t.error(format('SELECT set_monitor(%L, ''xledger'')', :'org_a'));
UPDATE integration_monitors SET due_at = now();
SELECT t.error('SELECT claim_due_health_checks()');
ROLLBACK;
UPDATE integration_types SET planned_since = NULL;
-- the cleanup corrects what a clock that was ahead has left, and nothing else
INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor, time_zone, planned_since, due_at, warm_up_for)
SELECT org_id, 'xledger', e, '2110-01-01', 'UTC', d, d, d
  FROM (VALUES (1, '1 hour'::interval, '2120-01-01'::timestamptz), (2, '1 year', '2120-01-01'), (3, '1 year', 'infinity')) AS v (n, e, d) JOIN pair USING (n);
INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor, time_zone)
SELECT org_id, 'xledger', e, a, 'UTC' FROM (VALUES (4, '1 month'::interval, '2109-01-01'::timestamptz), (5, '1 hour', '2120-01-01')) AS v (n, e, a) JOIN pair USING (n);
CREATE TABLE t.before AS SELECT * FROM integration_sync_schedules;
UPDATE integration_types SET planned_since = '2120-01-01' WHERE integration_type = 'xledger';
UPDATE integration_monitors SET planned_since = now() - interval '1 hour';
UPDATE integration_monitors SET planned_since = '2120-01-01' FROM pair WHERE integration_monitors.org_id = pair.org_id AND n = 2;
SELECT integration_health_cleanup('100 years');
SELECT n, s.due_at = next AS due, s.warm_up_for = next AS warm_up, s.planned_since <= now() AS planned, s = b AS same
  FROM integration_sync_schedules s JOIN pair USING (org_id) JOIN t.before b USING (org_id, integration_type),
       integration_sync_next_period(s.every, s.anchor, s.time_zone, now()) AS next ORDER BY n;
SELECT count(*) FROM integration_types WHERE planned_since > now();
SELECT count(*), count(*) FILTER (WHERE planned_since < now() - interval '59 minutes') AS as_they_were FROM integration_monitors WHERE planned_since < now();
DROP TABLE t.before;
DELETE FROM integration_sync_schedules;
SELECT * FROM t.violations();
DROP TABLE t.seen;

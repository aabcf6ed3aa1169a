-- A column of a check that an UPDATE or upsert does not set is null, not the last check's, and its time is
-- now(); an UPDATE that sets none of them is no check; a check is never later than its recording.
\i test/fixtures/preamble.sql
SET ROLE service_role;
CREATE TEMP VIEW current AS
SELECT integration_type, status, http_status AS http, latency_ms AS ms, error, retry_after AS wait, check_no AS n,
       checked_at > now() - interval '1 minute' AS is_now
  FROM integration_health_status;
CREATE TEMP VIEW latest AS
SELECT DISTINCT ON (org_id, integration_type) integration_type, status, http_status AS http, latency_ms AS ms, error, check_no AS n
  FROM integration_health_history ORDER BY org_id, integration_type, check_no DESC;

INSERT INTO integration_health_status (org_id, integration_type, status, http_status, error, latency_ms, retry_after, checked_at)
VALUES (:'org_a', 'xledger', 'unhealthy', 502, 'x', 9000, 60, '2026-01-01 00:00+00');
-- an upsert as PostgREST makes it from {org_id, integration_type, status}
INSERT INTO integration_health_status (org_id, integration_type, status) VALUES (:'org_a', 'xledger', 'healthy')
ON CONFLICT (org_id, integration_type) DO UPDATE
   SET org_id = EXCLUDED.org_id, integration_type = EXCLUDED.integration_type, status = EXCLUDED.status;
TABLE current;
TABLE latest;
-- an UPDATE of some columns, of none but the status, of the time alone
UPDATE integration_health_status SET status = 'unhealthy', http_status = 500, error = 'y';
TABLE current;
UPDATE integration_health_status SET latency_ms = 7;
TABLE current;
TABLE latest;
UPDATE integration_health_status SET checked_at = now();
TABLE current;
-- MERGE
MERGE INTO integration_health_status s USING (VALUES (:'org_a'::uuid, 'xledger')) AS v (o, t) ON s.org_id = v.o AND s.integration_type = v.t
 WHEN MATCHED THEN UPDATE SET status = 'degraded', http_status = 200;
TABLE current;
-- the columns of a check keep a 429 only as long as it is the last one
SELECT status, http_status FROM record_health_check(:'org_a', 'xledger', 'unhealthy', http_status => 429, retry_after => 900);
UPDATE integration_health_status SET status = 'healthy';
TABLE current;
SELECT monitoring_mode, passive_until > now() AS waits FROM resume_active_monitoring('xledger');
UPDATE integration_health_status SET status = 'healthy';
SELECT monitoring_mode FROM integration_types WHERE integration_type = 'xledger';
SELECT * FROM t.violations();

-- setting a site's own column is not a check, and nobody can set the columns that the extension maintains
RESET ROLE;
BEGIN;
ALTER TABLE integration_health_status ADD note text;
TABLE current;
UPDATE integration_health_status SET note = 'seen', check_no = 99, consecutive_failures = 99, status_since = now(), last_healthy_at = NULL, recorded_at = now();
SELECT note, check_no, consecutive_failures, status_since < now() AS kept, last_healthy_at IS NOT NULL AS was_healthy, recorded_at < clock_timestamp() AS recorded FROM integration_health_status;
SELECT * FROM t.violations();
-- a site's BEFORE trigger may set what the statement does not
CREATE FUNCTION t.yesterday() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.checked_at := OLD.checked_at + interval ''1 microsecond''; NEW.error := ''set by the site''; RETURN NEW; END';
CREATE TRIGGER a BEFORE UPDATE ON integration_health_status FOR EACH ROW EXECUTE FUNCTION t.yesterday();
CREATE TEMP TABLE before AS SELECT checked_at FROM integration_health_status;
UPDATE integration_health_status SET status = 'unhealthy';
SELECT s.checked_at - b.checked_at AS later, s.error, s.check_no FROM integration_health_status s, before b;
SELECT * FROM t.violations();
ROLLBACK;

-- the future is now: of a first check, a later one, and one in a batch; nothing freezes
SET ROLE service_role;
DELETE FROM integration_health_status;
SELECT checked_at <= clock_timestamp() AS not_later, status_since = checked_at AS since, last_healthy_at = checked_at AS healthy
  FROM record_health_check(:'org_a', 'xledger', 'healthy', checked_at => '294276-12-31 23:00+00');
SELECT checked_at <= recorded_at AS not_later, checked_at > now() - interval '1 minute' AS is_now, check_no, status
  FROM record_health_check(:'org_a', 'xledger', 'unhealthy', checked_at => now() + interval '2 hours');
SELECT record_health_checks('[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "xledger", "status": "healthy", "checked_at": "2999-01-01T00:00:00Z"}]');
SELECT status, check_no FROM record_health_check(:'org_a', 'xledger', 'degraded');
SELECT max(checked_at) <= clock_timestamp() AS not_later, count(*) FROM integration_health_history;
SELECT t.error(format('SELECT record_health_check(%L, ''xledger'', ''healthy'', checked_at => ''infinity'')', :'org_a'));
SELECT t.error(format('SELECT record_health_check(%L, ''dynamics'', ''healthy'', checked_at => ''infinity'')', :'org_a'));
RESET ROLE;
-- a row with a time in the future, from before this rule, as a dump may bring it
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at, status_since, consecutive_failures, check_no, recorded_at)
VALUES (:'org_b', 'xledger', 'unhealthy', '2999-01-01 00:00+00', '2999-01-01 00:00+00', 1, 7, '2026-01-01 00:00+00');
SELECT status, check_no, checked_at <= clock_timestamp() AS not_later FROM record_health_check(:'org_b', 'xledger', 'healthy');
-- what is late stays late
SELECT status, check_no FROM record_health_check(:'org_b', 'xledger', 'degraded', checked_at => now() - interval '1 day');

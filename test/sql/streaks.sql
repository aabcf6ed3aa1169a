-- status_since, last_healthy_at and consecutive_failures over a course of checks.
\i test/fixtures/preamble.sql
SET ROLE service_role;
CREATE TEMP TABLE course (minute integer, status integration_health_state);
INSERT INTO course VALUES (0, 'unknown'), (1, 'unhealthy'), (2, 'unhealthy'), (3, 'unknown'), (4, 'unhealthy'),
  (5, 'degraded'), (6, 'degraded'), (7, 'healthy'), (8, 'healthy'), (9, 'unhealthy'), (10, 'unknown'), (11, 'healthy');
SELECT to_char(r.checked_at, 'MI') AS at, r.status, to_char(r.status_since, 'MI') AS since,
       to_char(r.last_healthy_at, 'MI') AS healthy_at, r.consecutive_failures AS failures, r.check_no
  FROM course c,
       LATERAL record_health_check(:'org_a', 'xledger', c.status, checked_at => '2026-01-01'::timestamptz + c.minute * interval '1 minute') r
 ORDER BY c.minute;

-- what the trigger keeps cannot be set; an attempt is refused or has no effect
SELECT t.error($$UPDATE integration_health_status SET check_no = 1000$$);
SELECT t.error($$INSERT INTO integration_health_status (org_id, integration_type, status, check_no, recorded_at)
  VALUES ('00000000-0000-0000-0000-00000000000b', 'xledger', 'healthy', 5, now())$$);
SELECT t.error($$UPDATE integration_health_status SET status_since = now()$$);
SELECT t.error($$UPDATE integration_health_status SET consecutive_failures = 3$$);
SELECT t.error($$UPDATE integration_health_status SET last_healthy_at = now(), recorded_at = now()$$);
RESET ROLE;
UPDATE integration_health_status
   SET check_no = 1000, status_since = '2020-01-01', consecutive_failures = 77, last_healthy_at = '2020-01-01',
       status = 'healthy', checked_at = '2026-01-01 00:12';
SELECT check_no, to_char(status_since, 'MI') AS since, to_char(last_healthy_at, 'MI') AS healthy_at, consecutive_failures AS failures
  FROM integration_health_status;
SELECT * FROM t.violations();

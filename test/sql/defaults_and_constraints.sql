-- What a table takes and what it refuses, by SQLSTATE.
\i test/fixtures/preamble.sql
SET ROLE service_role;
-- checked_at is now() where it is not given, also in an update and in an upsert without it
BEGIN;
INSERT INTO integration_health_status (org_id, integration_type, status, checked_at)
VALUES (:'org_a', 'xledger', 'healthy', '2026-01-01');
UPDATE integration_health_status SET status = 'unhealthy' RETURNING checked_at = now() AS is_now;
INSERT INTO integration_health_status (org_id, integration_type, status) VALUES (:'org_a', 'xledger', 'healthy')
ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status
RETURNING checked_at = now() AS is_now, status_since = now() AS since_now, check_no;
UPDATE integration_health_status SET checked_at = checked_at RETURNING check_no;
COMMIT;
SELECT t.error('INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms, http_status, error, checked_at) VALUES (' || v || ')')
  FROM unnest(ARRAY[
    $$NULL, 'xledger', 'healthy', 1, 200, NULL, now()$$,
    $$gen_random_uuid(), NULL, 'healthy', 1, 200, NULL, now()$$,
    $$gen_random_uuid(), 'xledger', NULL, 1, 200, NULL, now()$$,
    $$gen_random_uuid(), 'xledger', 'healthy', 1, 200, NULL, NULL$$,
    $$gen_random_uuid(), 'nowhere', 'healthy', 1, 200, NULL, now()$$,
    $$gen_random_uuid(), 'xledger', 'fine', 1, 200, NULL, now()$$,
    $$gen_random_uuid(), 'xledger', 'healthy', -1, 200, NULL, now()$$,
    $$gen_random_uuid(), 'xledger', 'healthy', 1, 99, NULL, now()$$,
    $$gen_random_uuid(), 'xledger', 'healthy', 1, 600, NULL, now()$$,
    $$gen_random_uuid(), 'xledger', 'healthy', 1, 200, repeat('x', 2001), now()$$,
    $$gen_random_uuid(), 'xledger', 'healthy', 1, 200, NULL, 'infinity'$$,
    $$gen_random_uuid(), 'xledger', 'healthy', 0, 100, repeat('x', 2000), now()$$,
    $$gen_random_uuid(), 'dynamics', 'unknown', 2147483647, 599, '', now()$$]) AS v;
SELECT * FROM t.violations();
SELECT t.error('INSERT INTO integration_types (integration_type, display_name, check_interval, max_backoff) VALUES (' || v || ')')
  FROM unnest(ARRAY[
    $$'Upper', 'x', '15 min', '1 day'$$, $$'1st', 'x', '15 min', '1 day'$$, $$'', 'x', '15 min', '1 day'$$,
    $$repeat('a', 64), 'x', '15 min', '1 day'$$, $$E'two\nlines', 'x', '15 min', '1 day'$$,
    $$'fast', 'x', '14 min 59 s', '1 day'$$, $$'patient', 'x', '2 hours', '1 hour'$$, $$'nameless', '', '15 min', '1 day'$$,
    $$'xledger', 'again', '15 min', '1 day'$$,
    $$repeat('a', 63), 'x', '15 min', '15 min'$$]) AS v;
DELETE FROM integration_types WHERE integration_type = repeat('a', 63);
SELECT integration_type, display_name, check_interval, max_backoff, monitoring_mode, passive_since, passive_reason
  FROM integration_types ORDER BY 1;
SELECT t.error($$DELETE FROM integration_types WHERE integration_type = 'xledger'$$);

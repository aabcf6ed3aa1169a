-- record_health_check and record_health_checks: what they return, and that a bad entry records
-- nothing.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT org_id, integration_type, status, latency_ms, http_status, error, checked_at, status_since, last_healthy_at, consecutive_failures, check_no
  FROM record_health_check(org_id => :'org_a', integration_type => 'xledger', status => 'unhealthy', latency_ms => 5, http_status => 500,
                           error => 'no', checked_at => '2026-01-01');
SELECT status, checked_at > '2026-01-02' AS is_now FROM record_health_check(:'org_a', 'xledger', 'healthy', checked_at => NULL);
SELECT t.error('SELECT record_health_check(' || v || ')') FROM unnest(ARRAY[
  $$NULL, 'xledger', 'healthy'$$, $$gen_random_uuid(), NULL, 'healthy'$$, $$gen_random_uuid(), 'xledger', NULL$$,
  $$gen_random_uuid(), 'nowhere', 'healthy'$$, $$gen_random_uuid(), 'xledger', 'fine'$$, $$gen_random_uuid(), 'xledger', 'healthy', -5$$]) AS v;

SELECT record_health_checks('[]');
SELECT record_health_checks(format('[{"org_id": %1$s, "integration_type": "xledger", "status": "healthy"},
  {"org_id": %1$s, "integration_type": "dynamics", "status": "degraded", "latency_ms": 9000, "http_status": 200, "error": null, "checked_at": "2026-01-01T00:00:00Z"}]',
  to_json(:'org_b'::text))::jsonb);
SELECT integration_type, status, latency_ms, http_status, checked_at < now() AS before_now, check_no
  FROM integration_health_status WHERE org_id = :'org_b' ORDER BY 1;

-- several checks of a pair in one array: all recorded, in the order of checked_at
SELECT record_health_checks(format('[{"org_id": %1$s, "integration_type": "dynamics", "status": "healthy", "checked_at": "2026-01-03"},
  {"org_id": %1$s, "integration_type": "dynamics", "status": "unhealthy", "checked_at": "2026-01-02"},
  {"org_id": %2$s, "integration_type": "dynamics", "status": "unknown", "checked_at": "2026-01-02"},
  {"org_id": %1$s, "integration_type": "dynamics", "status": "unhealthy", "checked_at": "2026-01-02"}]',
  to_json(:'org_b'::text), to_json(:'org_a'::text))::jsonb);
SELECT check_no, status, checked_at FROM integration_health_history WHERE org_id = :'org_b' AND integration_type = 'dynamics' ORDER BY check_no;
SELECT status, consecutive_failures, check_no FROM integration_health_status WHERE org_id = :'org_b' AND integration_type = 'dynamics';
SELECT * FROM t.violations();

-- one bad entry: its place and what is wrong, and nothing recorded
CREATE TEMP TABLE before AS TABLE integration_health_history;
SELECT t.error(format('SELECT record_health_checks(%L)', '[{"org_id": "00000000-0000-0000-0000-00000000000a", "integration_type": "xledger", "status": "unhealthy"}, ' || bad || ']'))
  FROM unnest(ARRAY[
    '1', 'null', '"x"', '[]', '{}', '{"org_id": "00000000-0000-0000-0000-00000000000b"}',
    '{"org_id": "no-uuid", "integration_type": "xledger", "status": "healthy"}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "nowhere", "status": "healthy"}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "fine"}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": null}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "latency_ms": -1}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "latency_ms": 1.5}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "latency_ms": 3000000000}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "http_status": 42}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "checked_at": "yesterday noon"}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "checked_at": "infinity"}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "latency": 5}',
    '{"org_id": "00000000-0000-0000-0000-00000000000b", "integration_type": "xledger", "status": "healthy", "check_no": 5}']) AS bad;
SELECT t.error(format('SELECT record_health_checks(%s)', v)) FROM unnest(ARRAY['NULL', $$'{}'$$, $$'null'$$, $$'"x"'$$, $$'7'$$]) AS v;
SELECT count(*) FROM (TABLE integration_health_history EXCEPT ALL TABLE before) AS changed;
SELECT * FROM t.violations();

-- a thousand pairs in one call
SELECT record_health_checks(jsonb_agg(jsonb_build_object('org_id', ('00000000-0000-0000-0002-' || lpad(n::text, 12, '0'))::uuid,
         'integration_type', 'xledger', 'status', 'healthy') ORDER BY n DESC)) FROM generate_series(1, 1000) n;
SELECT count(*) FROM integration_health_history WHERE org_id >= '00000000-0000-0000-0002-000000000000';
SELECT * FROM t.violations();

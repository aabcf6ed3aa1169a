-- Errors repeat only part of what a caller sent, and name the valid values where they are few.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT v, t.error(format('SELECT record_health_checks(%L)', jsonb_build_array(jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger', 'status', 'healthy') || v)))
  FROM unnest(ARRAY['{"integration_type": "telepathy"}', '{"status": "fine"}', '{"org_id": "acme"}']::jsonb[]) AS v;
SELECT k, length(e), e LIKE '%...%' AS clipped FROM unnest('{key,org_id,status,integration_type,checked_at}'::text[]) AS k,
  LATERAL (SELECT t.error(format('SELECT record_health_checks(%L)', jsonb_build_array(jsonb_build_object('org_id', :'org_a', 'integration_type', 'xledger', 'status', 'healthy')
    || CASE k WHEN 'key' THEN jsonb_build_object(repeat('ä', 5000), 1) ELSE jsonb_build_object(k, repeat('ä', 5000)) END)))) AS l (e);
SELECT f, length(t.error(format(f, repeat('x', 5000)))) < 350 AS short FROM unnest(ARRAY['SELECT resume_active_monitoring(%L)', $$SELECT claim_sync_run(gen_random_uuid(), %L, now())$$,
  $$SELECT integration_sync_last_period('1 day', now(), %L, now())$$, $$SELECT set_sync_schedule(gen_random_uuid(), 'xledger', '1 day', now(), %L)$$]) AS f;
RESET ROLE;

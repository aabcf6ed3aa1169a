-- An installation with a past: 60 organisations, 100 rounds, so that the history has gone round.
INSERT INTO integration_health_status (org_id, integration_type, status)
SELECT md5('org' || o)::uuid, t, 'healthy' FROM generate_series(1, 60) AS o, unnest('{dynamics,xledger}'::text[]) AS t;
DO $$
BEGIN
  FOR round IN 1 .. 100 LOOP
    INSERT INTO integration_health_status (org_id, integration_type, status, latency_ms)
    SELECT md5('org' || o)::uuid, t, (CASE WHEN (o + round) % 17 < 2 THEN 'unhealthy' ELSE 'healthy' END)::integration_health_state, round
      FROM generate_series(1, 60) AS o, unnest('{dynamics,xledger}'::text[]) AS t
        ON CONFLICT (org_id, integration_type) DO UPDATE SET status = EXCLUDED.status, latency_ms = EXCLUDED.latency_ms;
  END LOOP;
END
$$;
INSERT INTO integration_monitors (org_id, integration_type) SELECT org_id, integration_type FROM integration_health_status;
INSERT INTO integration_sync_schedules (org_id, integration_type, every, anchor)
SELECT md5('org' || o)::uuid, 'xledger', '1 hour', date_trunc('hour', now()) - interval '1 day' FROM generate_series(1, 60) AS o;

UPDATE integration_sync_schedules SET due_at = due_at - interval '3 hours' - n * interval '1 second'
  FROM generate_series(1, 20) AS n WHERE org_id = md5('org' || n)::uuid;

-- A type that failed and recovered, with an alert that was handed out and one that was not.
UPDATE integration_health_status SET status = 'unhealthy' WHERE integration_type = 'dynamics';
UPDATE integration_health_status SET status = 'unhealthy' WHERE integration_type = 'dynamics';
SELECT integration_health_watch();
SELECT count(*) FROM claim_alerts(100);
UPDATE integration_health_status SET status = 'healthy' WHERE integration_type = 'dynamics' AND org_id <> md5('org1')::uuid;
SELECT integration_health_watch();

-- All rows of each table; the column that the extension for Citus adds says nothing.
CREATE FUNCTION digest() RETURNS TABLE (name text, n bigint, rows text) LANGUAGE plpgsql AS $$
DECLARE
  of_types regclass;
BEGIN
  FOREACH name IN ARRAY '{integration_types,integration_health_status,integration_health_history,integration_health_counts,integration_health_transitions,integration_health_days,integration_incidents,integration_alerts,integration_monitors,integration_sync_schedules}'::text[] LOOP
    of_types := to_regclass(replace(name, 'integration_', 'integration_health_citus.type_'));
    RETURN QUERY EXECUTE format(
      'SELECT %1$L::text, count(*), md5(COALESCE(string_agg(r, '','' ORDER BY r), '''')) '
      'FROM (SELECT (to_jsonb(t) - CASE %1$L WHEN ''integration_health_counts'' THEN ''org_id'' ELSE '''' END)::text AS r FROM %1$I AS t%2$s) AS x',
      name, ' UNION ALL SELECT to_jsonb(y)::text FROM ' || of_types || ' AS y');
  END LOOP;
END
$$;

-- What is read of all organisations, but for what depends on when it is read.
CREATE FUNCTION reports() RETURNS TABLE (name text, line text) LANGUAGE plpgsql AS $$
DECLARE
  until timestamptz := max(checked_at) FROM integration_health_status;
BEGIN
  RETURN QUERY SELECT 'uptime', r::text FROM integration_health_private.global_uptime(until - interval '1 day', until) AS r;
  RETURN QUERY SELECT 'summary', r::text FROM integration_health_private.global_health_summary() AS r;
  RETURN QUERY SELECT 'problems', r::text FROM integration_health_private.global_health_problems(5) AS r;
  RETURN QUERY SELECT 'incidents', r::text FROM integration_health_private.global_incidents(until - interval '1 day', 50) AS r;
  RETURN QUERY SELECT 'backlog', r::text FROM integration_health_private.alert_backlog(20) AS r;
  RETURN QUERY SELECT 'due syncs', r::text FROM integration_health_private.due_periods(7) AS r;
  RETURN QUERY SELECT 'measured', r::text FROM integration_health_private.measured_incidents() AS r;
  RETURN QUERY SELECT 'measured', r::text FROM integration_health_private.measured_alerts() AS r;
  RETURN QUERY SELECT 'sampled', (r.metric, r.labels, r.value)::text FROM integration_health_private.read_samples() AS r
                WHERE r.metric NOT LIKE '%\_age\_%' AND r.metric NOT LIKE '%\_samples\_%';
END
$$;

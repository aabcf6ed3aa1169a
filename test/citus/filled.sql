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

-- All rows of each table; the column that the extension for Citus adds says nothing.
CREATE FUNCTION digest() RETURNS TABLE (name text, n bigint, rows text) LANGUAGE plpgsql AS $$
BEGIN
  FOREACH name IN ARRAY '{integration_types,integration_health_status,integration_health_history,integration_health_counts,integration_health_transitions,integration_health_days,integration_incidents,integration_alerts,integration_monitors,integration_sync_schedules}'::text[] LOOP
    RETURN QUERY EXECUTE format(
      'SELECT %1$L::text, count(*), md5(COALESCE(string_agg(r, '','' ORDER BY r), '''')) '
      'FROM (SELECT (to_jsonb(t) - CASE %1$L WHEN ''integration_health_counts'' THEN ''org_id'' ELSE '''' END)::text AS r FROM %1$I AS t) AS x',
      name);
  END LOOP;
END
$$;

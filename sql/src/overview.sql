-- ---------------------------------------------------------------------------------------------
-- What a page about one organisation shows, in one request each: the reports on its integrations, put together
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.org_overview(of_org uuid, time_zone text)
RETURNS TABLE (
  integration_type text, display_name text, status @extschema@.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode @extschema@.integration_monitoring_mode,
  cause @extschema@.integration_failure_cause, uptime jsonb, uptime_days jsonb, latency_days jsonb, checks jsonb)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT h.integration_type, h.display_name, h.status, h.latency_ms, h.http_status, h.error, h.checked_at, h.status_since,
         h.last_healthy_at, h.consecutive_failures, h.is_stale, h.monitoring_mode, h.cause,
         w.uptime, d.days, l.days, COALESCE(c.checks, '[]')
    FROM integration_health_private.org_health_status(of_org) h
    JOIN (SELECT u.integration_type,
                 pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                   'days', n.days, 'uptime_pct', u.uptime_pct, 'coverage_pct', u.coverage_pct) ORDER BY n.days) AS uptime
            FROM pg_catalog.unnest('{1,7,30,90}'::integer[]) AS n (days)
           CROSS JOIN LATERAL integration_health_private.org_uptime(
                   of_org, integration_health_private.days_start(n.days), pg_catalog.now()) u
           GROUP BY u.integration_type) w ON w.integration_type = h.integration_type
   CROSS JOIN LATERAL (
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                  'day', r.day, 'uptime_pct', r.uptime_pct, 'coverage_pct', r.coverage_pct, 'worst', r.worst) ORDER BY r.day)
           FROM integration_health_private.uptime_days(of_org, h.integration_type, 90, time_zone, pg_catalog.now()) r) AS d (days)
   CROSS JOIN LATERAL (
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                  'day', r.day, 'checks', r.checks, 'p50_ms', r.p50_ms, 'p95_ms', r.p95_ms, 'max_ms', r.max_ms) ORDER BY r.day)
           FROM integration_health_private.latency_days(of_org, h.integration_type, 90) r) AS l (days)
   CROSS JOIN LATERAL (
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                  'checked_at', r.checked_at, 'status', r.status, 'latency_ms', r.latency_ms, 'http_status', r.http_status,
                  'error', r.error, 'check_no', r.check_no, 'cause', r.cause) ORDER BY r.checked_at, r.check_no)
           FROM integration_health_private.health_trend(of_org, h.integration_type) r) AS c (checks)
   ORDER BY h.display_name, h.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_overview(uuid, text) IS 'Runs the query of get_org_overview.';

CREATE FUNCTION @extschema@.get_org_overview(org_id uuid, time_zone text DEFAULT 'UTC')
RETURNS TABLE (
  integration_type text, display_name text, status @extschema@.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode @extschema@.integration_monitoring_mode,
  cause @extschema@.integration_failure_cause, uptime jsonb, uptime_days jsonb, latency_days jsonb, checks jsonb)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  PERFORM integration_health_private.require_time_zone(time_zone);
  RETURN QUERY SELECT * FROM integration_health_private.org_overview(get_org_overview.org_id, time_zone);
END
$$;
COMMENT ON FUNCTION @extschema@.get_org_overview(uuid, text) IS
  'Returns all that a page about the organisation org_id shows of its integrations: the rows of get_org_health_status, and of '
  'each integration, as arrays of JSON objects: uptime, with the days (1, 7, 30 and 90), uptime_pct and coverage_pct of '
  'get_org_uptime; uptime_days, the rows of get_uptime_days for 90 days in time_zone, a name of pg_timezone_names; '
  'latency_days, the rows of get_latency_days for 90 days in UTC; and checks, the rows of get_health_trend for 24 hours, but '
  'the oldest first. No rows for a caller who may not see the organisation. Errors: 22023 for an unknown time_zone or '
  'malformed claims.';

CREATE FUNCTION integration_health_private.org_syncs(of_org uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, every interval, enabled boolean, next_at timestamptz,
  last_scheduled_for timestamptz, last_started_at timestamptz, last_finished_at timestamptz,
  last_outcome @extschema@.integration_sync_outcome, last_error text, late bigint, missed bigint, cold_starts bigint)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT s.integration_type, t.display_name, s.every, s.enabled,
         CASE WHEN s.enabled THEN @extschema@.integration_sync_next_period(
           s.every, s.anchor, integration_health_private.usable_time_zone(
             s.org_id, s.integration_type, s.every, s.anchor, s.time_zone), pg_catalog.now()) END,
         l.scheduled_for, l.started_at, l.finished_at, l.outcome, l.error, c.late, COALESCE(m.missed, 0), c.cold_starts
    FROM @extschema@.integration_sync_schedules s
    JOIN @extschema@.integration_types t ON t.integration_type = s.integration_type
    LEFT JOIN LATERAL (
         SELECT r.scheduled_for, r.started_at, r.finished_at, r.outcome, r.error
           FROM @extschema@.integration_sync_runs r
          WHERE r.org_id = of_org AND r.integration_type = s.integration_type
          ORDER BY r.scheduled_for DESC LIMIT 1) l ON true
   CROSS JOIN LATERAL (
         SELECT pg_catalog.count(*) FILTER (WHERE @extschema@.integration_sync_is_late(r.drift)) AS late,
                pg_catalog.count(*) FILTER (WHERE r.cold_start) AS cold_starts
           FROM @extschema@.integration_sync_runs r
          WHERE r.org_id = of_org AND r.integration_type = s.integration_type AND r.scheduled_for >= since) c
    LEFT JOIN (SELECT x.integration_type, pg_catalog.count(*) AS missed
                 FROM integration_health_private.missed_syncs(of_org, since) x
                WHERE of_org IS NOT NULL
                GROUP BY x.integration_type) m ON m.integration_type = s.integration_type
   WHERE s.org_id = of_org
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_syncs(uuid, timestamptz) IS
  'Runs the query of get_org_syncs, for periods since a time.';

CREATE FUNCTION @extschema@.get_org_syncs(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, every interval, enabled boolean, next_at timestamptz,
  last_scheduled_for timestamptz, last_started_at timestamptz, last_finished_at timestamptz,
  last_outcome @extschema@.integration_sync_outcome, last_error text, late bigint, missed bigint, cold_starts bigint)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.org_syncs(get_org_syncs.org_id, since);
END
$$;
COMMENT ON FUNCTION @extschema@.get_org_syncs(uuid, integer) IS
  'Returns the schedules of the organisation org_id, by display name: next_at, the next period, null where the schedule is '
  'not enabled; the last period that somebody ran, with when it started and finished, its outcome and error, null where there '
  'was none; and of the periods of the last hours (1 to 720) how many get_sync_drift, get_missed_syncs and get_cold_starts '
  'list: late, missed and cold_starts. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null '
  'or outside 1 to 720, or for malformed claims.';

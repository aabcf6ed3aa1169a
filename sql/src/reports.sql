-- ---------------------------------------------------------------------------------------------
-- Reports on health: of one organisation, and of all for global admins
-- ---------------------------------------------------------------------------------------------

-- The queries are parsed at creation, so that they survive a renamed schema. The functions that applications call raise
-- errors first, and then run them.

CREATE FUNCTION integration_health_private.org_health_status(org_id uuid)
RETURNS TABLE (
  integration_type text, display_name text, status @extschema@.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode @extschema@.integration_monitoring_mode,
  cause @extschema@.integration_failure_cause)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, t.display_name,
         COALESCE(s.status, 'unknown'::@extschema@.integration_health_state),
         s.latency_ms, s.http_status, s.error, s.checked_at, s.status_since, s.last_healthy_at,
         COALESCE(s.consecutive_failures, 0),
         CASE WHEN s.checked_at IS NOT NULL THEN
           COALESCE(integration_health_private.stale_at(
             s.checked_at, s.consecutive_failures, t.monitoring_mode, t.check_interval, t.max_backoff,
             GREATEST(t.planned_since, t.passive_until), m.enabled, m.claimed_at, m.due_at, m.planned_since)
             < pg_catalog.now(), false)
         END,
         t.monitoring_mode, s.cause
    FROM @extschema@.integration_types t
    LEFT JOIN @extschema@.integration_health_status s
      ON s.integration_type = t.integration_type AND s.org_id = org_health_status.org_id
    LEFT JOIN @extschema@.integration_monitors m
      ON m.integration_type = t.integration_type AND m.org_id = org_health_status.org_id
   WHERE @extschema@.integration_health_can_read(org_health_status.org_id)
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_health_status(uuid) IS 'Runs the query of get_org_health_status.';

CREATE FUNCTION @extschema@.get_org_health_status(org_id uuid)
RETURNS TABLE (
  integration_type text, display_name text, status @extschema@.integration_health_state,
  latency_ms integer, http_status integer, error text, checked_at timestamptz,
  status_since timestamptz, last_healthy_at timestamptz, consecutive_failures integer,
  is_stale boolean, monitoring_mode @extschema@.integration_monitoring_mode,
  cause @extschema@.integration_failure_cause)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_claims();
  RETURN QUERY SELECT * FROM integration_health_private.org_health_status(get_org_health_status.org_id);
END
$$;
COMMENT ON FUNCTION @extschema@.get_org_health_status(uuid) IS
  'Returns the health of the organisation org_id: one row for every integration type, by display name. status is '
  'unknown for a pair never checked, latency_ms is in milliseconds, and is_stale is true when no check came in twice '
  'the time in which one was expected: the check_interval, or the backoff that the monitor of a failing pair waits '
  '(null when never checked, false when no check is expected). No rows for a caller who may not see the organisation. '
  'Errors: 22023 for malformed claims.';

-- The function in FROM is evaluated before the history is read, so that wrong hours are an error even where there are
-- no rows.
CREATE FUNCTION integration_health_private.health_trend(
  org_id uuid, integration_type text, hours integer DEFAULT 24)
RETURNS TABLE (
  checked_at timestamptz, status @extschema@.integration_health_state, latency_ms integer,
  http_status integer, error text, check_no bigint, cause @extschema@.integration_failure_cause)
LANGUAGE sql STABLE ROWS 96
BEGIN ATOMIC
  SELECT h.checked_at, h.status, h.latency_ms, h.http_status, h.error, h.check_no, h.cause
    FROM integration_health_private.window_start(health_trend.hours) AS s (trend_start)
   CROSS JOIN LATERAL (
         SELECT r.checked_at, r.status, r.latency_ms, r.http_status, r.error, r.check_no, r.cause
           FROM @extschema@.integration_health_history r
          WHERE r.org_id = health_trend.org_id
            AND r.integration_type = health_trend.integration_type
            AND r.checked_at >= s.trend_start
          ORDER BY r.checked_at DESC, r.check_no DESC
          LIMIT 96) h
   ORDER BY h.checked_at DESC, h.check_no DESC;
END;
COMMENT ON FUNCTION integration_health_private.health_trend(uuid, text, integer) IS
  'Runs the query of get_health_trend. Errors: 22023 when hours is null or outside 1 to 720.';

CREATE FUNCTION @extschema@.get_health_trend(
  org_id uuid, integration_type text, hours integer DEFAULT 24)
RETURNS TABLE (
  checked_at timestamptz, status @extschema@.integration_health_state, latency_ms integer,
  http_status integer, error text, check_no bigint, cause @extschema@.integration_failure_cause)
LANGUAGE plpgsql STABLE ROWS 96 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- First, whatever the query comes to.
  PERFORM integration_health_private.readable_since(hours);
  RETURN QUERY SELECT * FROM integration_health_private.health_trend(
    get_health_trend.org_id, get_health_trend.integration_type, get_health_trend.hours);
END
$$;
COMMENT ON FUNCTION @extschema@.get_health_trend(uuid, text, integer) IS
  'Returns the checks of (org_id, integration_type) within the last hours (1 to 720), newest first, at most 96; '
  'latency_ms is in milliseconds. No rows for a caller who may not see the organisation. Errors: 22023 when hours is '
  'null or outside 1 to 720, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- Reports on all organisations, for global admins
-- ---------------------------------------------------------------------------------------------

-- The deltas are summed before the join, in a single pass, whatever the number of types.
CREATE FUNCTION integration_health_private.global_health_summary()
RETURNS TABLE (
  integration_type text, display_name text,
  monitoring_mode @extschema@.integration_monitoring_mode,
  total bigint, healthy bigint, degraded bigint, unhealthy bigint, unknown bigint,
  healthy_pct numeric)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  WITH counted AS (
    SELECT c.integration_type,
           pg_catalog.sum(c.delta)::bigint AS total,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'healthy'), 0)::bigint AS healthy,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'degraded'), 0)::bigint AS degraded,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'unhealthy'), 0)::bigint AS unhealthy,
           COALESCE(pg_catalog.sum(c.delta) FILTER (WHERE c.status = 'unknown'), 0)::bigint AS unknown
      FROM @extschema@.integration_health_counts c GROUP BY c.integration_type
  )
  SELECT t.integration_type, t.display_name, t.monitoring_mode, COALESCE(c.total, 0), COALESCE(c.healthy, 0),
         COALESCE(c.degraded, 0), COALESCE(c.unhealthy, 0), COALESCE(c.unknown, 0),
         integration_health_private.percentage(c.healthy::numeric, c.total::numeric)
    FROM @extschema@.integration_types t
    LEFT JOIN counted c ON c.integration_type = t.integration_type
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.global_health_summary() IS
  'Runs the query of get_global_health_summary.';

CREATE FUNCTION integration_health_private.require_all_pairs()
RETURNS void
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY[
    '@extschema@.integration_health_status'::regclass, '@extschema@.integration_health_counts'::regclass]);
END;
COMMENT ON FUNCTION integration_health_private.require_all_pairs() IS
  'Calls require_all_rows for the status table and the counts.';

CREATE FUNCTION @extschema@.get_global_health_summary()
RETURNS TABLE (
  integration_type text, display_name text,
  monitoring_mode @extschema@.integration_monitoring_mode,
  total bigint, healthy bigint, degraded bigint, unhealthy bigint, unknown bigint,
  healthy_pct numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  PERFORM integration_health_private.require_all_pairs();
  RETURN QUERY SELECT * FROM integration_health_private.global_health_summary();
END
$$;
COMMENT ON FUNCTION @extschema@.get_global_health_summary() IS
  'Returns for every integration type, by display name, the number of organisations in each status, and the '
  'percentage that is healthy (rounded down to two decimals, null when there are none). Errors: 42501 unless a claim '
  'at one of the paths in integration_health.role_claims names integration_health.admin_role, 22023 for malformed '
  'claims, 55000 when row-level security applies to the owner of the function.';

-- The index yields the longest-lasting problems of each status, so that they need not all be sorted.
CREATE FUNCTION integration_health_private.global_health_problems(max_rows integer)
RETURNS TABLE (
  org_id uuid, integration_type text, display_name text,
  status @extschema@.integration_health_state, latency_ms integer, http_status integer,
  error text, checked_at timestamptz, status_since timestamptz, last_healthy_at timestamptz,
  consecutive_failures integer, cause @extschema@.integration_failure_cause)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, t.display_name, s.status, s.latency_ms, s.http_status, s.error, s.checked_at,
         s.status_since, s.last_healthy_at, s.consecutive_failures, s.cause
    FROM (VALUES (1, 'unhealthy'::@extschema@.integration_health_state), (2, 'degraded'), (3, 'unknown')) AS k (rank, status)
   CROSS JOIN LATERAL (
         SELECT p.org_id, p.integration_type, p.status, p.latency_ms, p.http_status, p.error, p.checked_at,
                p.status_since, p.last_healthy_at, p.consecutive_failures, p.cause
           FROM @extschema@.integration_health_status p
          WHERE p.status = k.status AND p.status <> 'healthy'
          ORDER BY p.status_since, p.org_id, p.integration_type LIMIT global_health_problems.max_rows) s
    JOIN @extschema@.integration_types t ON t.integration_type = s.integration_type
   ORDER BY k.rank, s.status_since, s.org_id, s.integration_type
   LIMIT global_health_problems.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.global_health_problems(integer) IS
  'Runs the query of get_global_health_problems.';

CREATE FUNCTION @extschema@.get_global_health_problems(max_rows integer DEFAULT 100)
RETURNS TABLE (
  org_id uuid, integration_type text, display_name text,
  status @extschema@.integration_health_state, latency_ms integer, http_status integer,
  error text, checked_at timestamptz, status_since timestamptz, last_healthy_at timestamptz,
  consecutive_failures integer, cause @extschema@.integration_failure_cause)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  PERFORM integration_health_private.require_max_rows(get_global_health_problems.max_rows);
  PERFORM integration_health_private.require_all_pairs();
  RETURN QUERY SELECT * FROM integration_health_private.global_health_problems(get_global_health_problems.max_rows);
END
$$;
COMMENT ON FUNCTION @extschema@.get_global_health_problems(integer) IS
  'Returns at most max_rows pairs that are not healthy: unhealthy before degraded before unknown, the longest-lasting '
  'first. Errors: 42501 and 55000 as get_global_health_summary, 22023 when max_rows is null or below 1, or for '
  'malformed claims.';

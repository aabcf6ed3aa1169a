-- ---------------------------------------------------------------------------------------------
-- Uptime and latency. Uptime is a share of time, not of checks: failing pairs are checked more rarely. What counts:
--   - A status holds from the check that found it to the check that finds another one; late checks change nothing. A span
--     of silence has the last status until mark_stale_health records unknown.
--   - healthy and degraded are up, unhealthy is down. unknown is neither, nor is the time before a pair's first check.
--   - Maintenance is neither, whatever the status in it.
--   - uptime_pct is up / (up + down), coverage_pct is (up + down) / (the window without maintenance); both are rounded
--     down, and null where there is no such time.
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.seconds(times tstzmultirange)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT COALESCE(pg_catalog.sum(extract(epoch FROM pg_catalog.upper(r) - pg_catalog.lower(r))), 0)
    FROM pg_catalog.unnest(times) AS r;
END;
COMMENT ON FUNCTION integration_health_private.seconds(tstzmultirange) IS 'Returns how long certain times are, in seconds.';

-- Each transition ends a span of the status before it, and the last one begins that of the present status. Where the cleanup
-- has deleted the older transitions, the first that is left knows the status before it.
CREATE FUNCTION integration_health_private.status_spans(of_org uuid, of_type text, times tstzmultirange)
RETURNS TABLE (status @extschema@.integration_health_state, span tstzrange)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
  SELECT c.status, p.span
    FROM (SELECT e.status,
                 pg_catalog.tstzrange(
                   pg_catalog.lag(e.ends_at, 1, pg_catalog.lower(times)) OVER (ORDER BY e.check_no), e.ends_at) AS span
            FROM (SELECT t.from_status AS status, LEAST(t.at, pg_catalog.upper(times)) AS ends_at, t.check_no
                    FROM @extschema@.integration_health_transitions t
                   WHERE t.org_id = of_org AND t.integration_type = of_type AND t.at > pg_catalog.lower(times)
                  UNION ALL
                  SELECT s.status, pg_catalog.upper(times), NULL
                    FROM @extschema@.integration_health_status s
                   WHERE s.org_id = of_org AND s.integration_type = of_type) e) c
   CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.tstzmultirange(c.span) * times) AS p (span)
   WHERE c.status IS NOT NULL;
END;
COMMENT ON FUNCTION integration_health_private.status_spans(uuid, text, tstzmultirange) IS
  'Returns when, of certain times, a pair had which status: spans that do not overlap, in no order. None before the first '
  'check of the pair, and none for a pair that is not there.';

CREATE FUNCTION integration_health_private.incident_times(since timestamptz, until timestamptz)
RETURNS TABLE (org_id uuid, integration_type text, took interval)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.org_id, i.integration_type, CASE WHEN i.resolved_at <= until THEN i.resolved_at - i.started_at END
    FROM @extschema@.integration_incidents i
   WHERE i.started_at < until AND (i.resolved_at IS NULL OR i.resolved_at > since);
END;
COMMENT ON FUNCTION integration_health_private.incident_times(timestamptz, timestamptz) IS
  'Returns the incidents of pairs and types (org_id is null) that started, or were open, between since and until, and how '
  'long those took that were resolved by then.';

-- planned_time is costly: OFFSET 0 keeps the planner from calling it wherever its result is used.
CREATE FUNCTION integration_health_private.org_uptime(of_org uuid, since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT t.integration_type, t.display_name,
         integration_health_private.percentage(u.healthy + u.degraded, u.healthy + u.degraded + u.unhealthy),
         integration_health_private.percentage(u.healthy + u.degraded + u.unhealthy, u.counted),
         pg_catalog.floor(u.healthy)::bigint, pg_catalog.floor(u.degraded)::bigint, pg_catalog.floor(u.unhealthy)::bigint,
         pg_catalog.floor(u.unknown)::bigint, pg_catalog.floor(extract(epoch FROM until - since) - u.counted)::bigint,
         i.incidents, i.mttr
    FROM @extschema@.integration_types t
   CROSS JOIN LATERAL (
         SELECT pg_catalog.tstzmultirange(pg_catalog.tstzrange(since, until))
                - integration_health_private.planned_time(of_org, t.integration_type, since, until) OFFSET 0) AS c (times)
   CROSS JOIN LATERAL (
         SELECT COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'healthy'), 0) AS healthy,
                COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'degraded'), 0) AS degraded,
                COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'unhealthy'), 0) AS unhealthy,
                COALESCE(pg_catalog.sum(s.seconds) FILTER (WHERE s.status = 'unknown'), 0) AS unknown,
                integration_health_private.seconds(c.times) AS counted
           FROM (SELECT r.status, extract(epoch FROM pg_catalog.upper(r.span) - pg_catalog.lower(r.span)) AS seconds
                   FROM integration_health_private.status_spans(of_org, t.integration_type, c.times) r) s) u
   CROSS JOIN LATERAL (
         SELECT pg_catalog.count(*) AS incidents, pg_catalog.avg(x.took) AS mttr
           FROM integration_health_private.incident_times(since, until) x
          WHERE x.org_id = of_org AND x.integration_type = t.integration_type) i
   WHERE @extschema@.integration_health_can_read(of_org)
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.org_uptime(uuid, timestamptz, timestamptz) IS
  'Runs the query of get_org_uptime, for the time from since to before until.';

CREATE FUNCTION @extschema@.get_org_uptime(org_id uuid, days integer DEFAULT 30)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz := integration_health_private.readable_since_days(days);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.org_uptime(get_org_uptime.org_id, since, now());
END
$$;
COMMENT ON FUNCTION @extschema@.get_org_uptime(uuid, integer) IS
  'Returns how available the integrations of an organisation were within the last days (1 to 90) of 24 hours: one row for '
  'every integration type, by display name. A status holds until a check finds another one. uptime_pct is the share of '
  'healthy and degraded in the time that was healthy, degraded or unhealthy; coverage_pct is the share of that time in the '
  'window without maintenance. Both are rounded down to two decimals, and null where there is no such time. The seconds in '
  'each status (healthy_s, degraded_s, unhealthy_s, unknown_s) are without maintenance, whose seconds are planned_s; the time '
  'before the first check is in none of them. incidents is the number of those that started, or were open, in the window, '
  'mttr the mean time from start to end of those that were resolved in it, null when none was. No rows for a caller who may '
  'not see the organisation. Errors: 22023 when days is null or outside 1 to 90, or for malformed claims.';

CREATE FUNCTION integration_health_private.require_time_zone(time_zone text)
RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.is_time_zone(time_zone) IS NOT TRUE THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(time_zone)),
      HINT = 'Use a name from pg_timezone_names, spelled as it is there.';
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_time_zone(text) IS
  'Checks an argument time_zone. Errors: 22023 when it is null or no name of a time zone.';

CREATE FUNCTION integration_health_private.uptime_days(
  of_org uuid, of_type text, day_count integer, time_zone text, until timestamptz)
RETURNS TABLE (day date, uptime_pct numeric, coverage_pct numeric, worst @extschema@.integration_health_state)
LANGUAGE sql STABLE ROWS 90
BEGIN ATOMIC
  WITH calendar AS (
    SELECT d.day, pg_catalog.tstzrange(pg_catalog.timezone(time_zone, d.day::timestamp),
                                       LEAST(pg_catalog.timezone(time_zone, (d.day + 1)::timestamp), until)) AS span
      FROM (SELECT pg_catalog.timezone(time_zone, until)::date - n AS day
              FROM pg_catalog.generate_series(0, day_count - 1) AS n) d
  ), counted AS MATERIALIZED (
    SELECT pg_catalog.tstzmultirange(pg_catalog.tstzrange(c.since, until))
           - integration_health_private.planned_time(of_org, of_type, c.since, until) AS times
      FROM (SELECT pg_catalog.min(pg_catalog.lower(d.span)) FROM calendar d) AS c (since)
  ), spans AS MATERIALIZED (
    SELECT s.status, s.span
      FROM counted c
     CROSS JOIN LATERAL integration_health_private.status_spans(of_org, of_type, c.times) s
  )
  SELECT d.day, integration_health_private.percentage(u.up, u.known),
         integration_health_private.percentage(
           u.known, integration_health_private.seconds(c.times * pg_catalog.tstzmultirange(d.span))),
         u.worst
    FROM @extschema@.integration_types t
   CROSS JOIN counted c
   CROSS JOIN calendar d
   CROSS JOIN LATERAL (
         SELECT COALESCE(pg_catalog.sum(x.seconds) FILTER (WHERE x.status <= 'degraded'), 0) AS up,
                COALESCE(pg_catalog.sum(x.seconds) FILTER (WHERE x.status <> 'unknown'), 0) AS known,
                ('{unhealthy,degraded,unknown,healthy}'::@extschema@.integration_health_state[])[
                  pg_catalog.min(pg_catalog.array_position(
                    '{unhealthy,degraded,unknown,healthy}'::@extschema@.integration_health_state[], x.status))] AS worst
           FROM (SELECT s.status,
                        extract(epoch FROM pg_catalog.upper(s.span * d.span) - pg_catalog.lower(s.span * d.span)) AS seconds
                   FROM spans s WHERE s.span && d.span) x) u
   WHERE t.integration_type = of_type AND @extschema@.integration_health_can_read(of_org)
   ORDER BY d.day;
END;
COMMENT ON FUNCTION integration_health_private.uptime_days(uuid, text, integer, text, timestamptz) IS
  'Runs the query of get_uptime_days, for the days up to the one that until is in.';

CREATE FUNCTION @extschema@.get_uptime_days(
  org_id uuid, integration_type text, days integer DEFAULT 90, time_zone text DEFAULT 'UTC')
RETURNS TABLE (day date, uptime_pct numeric, coverage_pct numeric, worst @extschema@.integration_health_state)
LANGUAGE plpgsql STABLE ROWS 90 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.readable_since_days(days);
  PERFORM integration_health_private.require_time_zone(time_zone);
  RETURN QUERY SELECT * FROM integration_health_private.uptime_days(
    get_uptime_days.org_id, get_uptime_days.integration_type, days, time_zone, now());
END
$$;
COMMENT ON FUNCTION @extschema@.get_uptime_days(uuid, text, integer, text) IS
  'Returns how available a pair was on each of the last days (1 to 90) of the calendar of time_zone, a name of '
  'pg_timezone_names: one row a day, the oldest first, today so far the last. uptime_pct and coverage_pct are those of '
  'get_org_uptime, of one day; uptime_pct is null, never 100, for a day without data. worst is the worst status that the pair '
  'had outside maintenance: unhealthy, degraded, unknown, healthy, in this order; null without data. No rows for a caller who '
  'may not see the organisation, or for a type that is not there. Errors: 22023 when days is null or outside 1 to 90, for an '
  'unknown time_zone, or for malformed claims.';

-- The pairs that had no transition in the window are not read. Had no pair changed, each would have been in its present
-- status all the time; a transition at some time moves what has passed of the window until then from the status after it to
-- the status before it, or to none, if there was none. The clock by which that is told stands still during maintenance of all
-- pairs of the type. Maintenance of single organisations is taken out pair by pair.
CREATE FUNCTION integration_health_private.uptime_sums(since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, healthy numeric, degraded numeric, unhealthy numeric, unknown numeric,
  planned numeric, incidents bigint, resolved bigint, took interval, pairs numeric)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  WITH counted AS MATERIALIZED (
    SELECT t.integration_type, t.display_name, extract(epoch FROM until - since) AS window_s,
           pg_catalog.tstzmultirange(pg_catalog.tstzrange(since, until))
           - integration_health_private.planned_time(NULL, t.integration_type, since, until) AS times
      FROM @extschema@.integration_types t
  ), clock AS (
    SELECT c.integration_type, pg_catalog.lower(r) AS starts_at, pg_catalog.upper(r) AS ends_at,
           COALESCE(pg_catalog.lead(pg_catalog.lower(r)) OVER w, 'infinity') AS next_at,
           COALESCE(pg_catalog.sum(extract(epoch FROM pg_catalog.upper(r) - pg_catalog.lower(r)))
                      OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS passed
      FROM counted c
     CROSS JOIN LATERAL pg_catalog.unnest(c.times) AS r
    WINDOW w AS (PARTITION BY c.integration_type ORDER BY pg_catalog.lower(r))
  ), moved AS MATERIALIZED (
    SELECT c.integration_type, x.from_status, x.to_status,
           pg_catalog.count(*) * c.passed + extract(epoch FROM pg_catalog.sum(LEAST(x.at, c.ends_at) - c.starts_at)) AS seconds
      FROM @extschema@.integration_health_transitions x
      JOIN clock c ON c.integration_type = x.integration_type AND x.at > c.starts_at AND x.at <= c.next_at
     WHERE x.at > since
     GROUP BY c.integration_type, c.passed, x.from_status, x.to_status
  ), present AS (
    SELECT n.integration_type, n.status, pg_catalog.sum(n.delta) AS pairs
      FROM @extschema@.integration_health_counts n GROUP BY n.integration_type, n.status
  ), own AS MATERIALIZED (
    SELECT o.org_id, o.integration_type, o.planned * c.times AS planned
      FROM (SELECT s.org_id, s.integration_type,
                   pg_catalog.range_agg(pg_catalog.tstzrange(m.starts_at, m.ends_at)) AS planned
              FROM @extschema@.integration_maintenance m
              JOIN @extschema@.integration_health_status s
                ON s.org_id = m.org_id AND (m.integration_type IS NULL OR m.integration_type = s.integration_type)
             WHERE m.ends_at > since AND m.starts_at < until
             GROUP BY s.org_id, s.integration_type) o
      JOIN counted c ON c.integration_type = o.integration_type
  ), part AS (
    SELECT p.integration_type, p.status, p.pairs, p.pairs * integration_health_private.seconds(c.times) AS seconds,
           p.pairs * (c.window_s - integration_health_private.seconds(c.times)) AS planned
      FROM present p
      JOIN counted c ON c.integration_type = p.integration_type
    UNION ALL
    SELECT m.integration_type, m.from_status, 0, m.seconds, 0 FROM moved m
    UNION ALL
    SELECT m.integration_type, m.to_status, 0, - m.seconds, 0 FROM moved m
    UNION ALL
    SELECT o.integration_type, s.status, 0, - extract(epoch FROM pg_catalog.upper(s.span) - pg_catalog.lower(s.span)), 0
      FROM own o
     CROSS JOIN LATERAL integration_health_private.status_spans(o.org_id, o.integration_type, o.planned) s
    UNION ALL
    SELECT o.integration_type, NULL, 0, 0, integration_health_private.seconds(o.planned) FROM own o
  ), incidents AS (
    SELECT x.integration_type, pg_catalog.count(*) AS incidents, pg_catalog.count(x.took) AS resolved,
           pg_catalog.sum(x.took) AS took
      FROM integration_health_private.incident_times(since, until) x
     WHERE x.org_id IS NOT NULL GROUP BY x.integration_type
  )
  SELECT c.integration_type, c.display_name,
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'healthy'), 0),
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'degraded'), 0),
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'unhealthy'), 0),
         COALESCE(pg_catalog.sum(p.seconds) FILTER (WHERE p.status = 'unknown'), 0),
         COALESCE(pg_catalog.sum(p.planned), 0), COALESCE(i.incidents, 0), COALESCE(i.resolved, 0), i.took,
         COALESCE(pg_catalog.sum(p.pairs), 0)
    FROM counted c
    LEFT JOIN part p ON p.integration_type = c.integration_type
    LEFT JOIN incidents i ON i.integration_type = c.integration_type
   GROUP BY c.integration_type, c.display_name, i.incidents, i.resolved, i.took;
END;
COMMENT ON FUNCTION integration_health_private.uptime_sums(timestamptz, timestamptz) IS
  'Returns what get_global_uptime reports as sums, exact and in seconds, for the time from since to before until: of the pairs '
  'of each type, and of the incidents of pairs and those of them that were resolved.';

CREATE FUNCTION integration_health_private.global_uptime(since timestamptz, until timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval, pairs bigint)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT u.integration_type, u.display_name,
         integration_health_private.percentage(u.healthy + u.degraded, u.healthy + u.degraded + u.unhealthy),
         integration_health_private.percentage(
           u.healthy + u.degraded + u.unhealthy, u.pairs * extract(epoch FROM until - since) - u.planned),
         pg_catalog.floor(u.healthy)::bigint, pg_catalog.floor(u.degraded)::bigint, pg_catalog.floor(u.unhealthy)::bigint,
         pg_catalog.floor(u.unknown)::bigint, pg_catalog.floor(u.planned)::bigint, u.incidents,
         u.took / NULLIF(u.resolved, 0), u.pairs::bigint
    FROM integration_health_private.uptime_sums(since, until) u
   ORDER BY u.display_name, u.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.global_uptime(timestamptz, timestamptz) IS
  'Runs the query of get_global_uptime, for the time from since to before until.';

-- Compilation would take as long as the query.
CREATE FUNCTION @extschema@.get_global_uptime(days integer DEFAULT 30)
RETURNS TABLE (
  integration_type text, display_name text, uptime_pct numeric, coverage_pct numeric, healthy_s bigint, degraded_s bigint,
  unhealthy_s bigint, unknown_s bigint, planned_s bigint, incidents bigint, mttr interval, pairs bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off ROWS 10 AS $$
DECLARE
  since timestamptz;
BEGIN
  PERFORM integration_health_private.require_admin_role();
  since := integration_health_private.days_start(days);
  PERFORM integration_health_private.require_all_rows(
    integration_health_private.relation('integration_health_status'),
    integration_health_private.relation('integration_health_counts'),
    integration_health_private.relation('integration_health_transitions'),
    integration_health_private.relation('integration_incidents'),
    integration_health_private.relation('integration_maintenance'));
  RETURN QUERY SELECT * FROM integration_health_private.global_uptime(since, now());
END
$$;
COMMENT ON FUNCTION @extschema@.get_global_uptime(integer) IS
  'Returns for every integration type, by display name, how available it was for all organisations within the last days (1 '
  'to 90): the columns of get_org_uptime, as sums over the pairs of the type that are there now (pairs), seconds of pairs; the '
  'percentages are of these sums. incidents and mttr are of the incidents of pairs. Its cost grows with the transitions in '
  'the window, not with the pairs that had none. Errors: 42501 as get_global_health_summary, 22023 when days is null or '
  'outside 1 to 90, or for malformed claims, 55000 when row-level security applies to the owner of the function.';

CREATE FUNCTION integration_health_private.latency_days(of_org uuid, of_type text, day_count integer)
RETURNS TABLE (day date, checks integer, p50_ms integer, p95_ms integer, max_ms integer)
LANGUAGE sql STABLE ROWS 90
BEGIN ATOMIC
  WITH known AS (
    SELECT d.day, d.checks, d.p50_ms, d.p95_ms, d.max_ms
      FROM @extschema@.integration_health_days d
     WHERE d.org_id = of_org AND d.integration_type = of_type
    UNION ALL
    -- The day of the last check is not closed.
    SELECT o.day, r.checks, r.p50_ms, r.p95_ms, r.max_ms
      FROM (SELECT integration_health_private.utc_day(s.checked_at) AS day
              FROM @extschema@.integration_health_status s
             WHERE s.org_id = of_org AND s.integration_type = of_type) o
     CROSS JOIN LATERAL integration_health_private.day_of_ring(of_org, of_type, o.day) r
     WHERE r.checks > 0
  )
  SELECT c.day, k.checks, k.p50_ms, k.p95_ms, k.max_ms
    FROM @extschema@.integration_types t
   CROSS JOIN (SELECT integration_health_private.utc_day(pg_catalog.now()) - n
                 FROM pg_catalog.generate_series(0, day_count - 1) AS n) AS c (day)
    LEFT JOIN known k ON k.day = c.day
   WHERE t.integration_type = of_type AND @extschema@.integration_health_can_read(of_org)
   ORDER BY c.day;
END;
COMMENT ON FUNCTION integration_health_private.latency_days(uuid, text, integer) IS 'Runs the query of get_latency_days.';

CREATE FUNCTION @extschema@.get_latency_days(org_id uuid, integration_type text, days integer DEFAULT 90)
RETURNS TABLE (day date, checks integer, p50_ms integer, p95_ms integer, max_ms integer)
LANGUAGE plpgsql STABLE ROWS 90 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.readable_since_days(days);
  RETURN QUERY SELECT * FROM integration_health_private.latency_days(
    get_latency_days.org_id, get_latency_days.integration_type, days);
END
$$;
COMMENT ON FUNCTION @extschema@.get_latency_days(uuid, text, integer) IS
  'Returns how fast a pair answered on each of the last days (1 to 90) in UTC: one row a day, the oldest first, today so far '
  'the last; checks is the number of checks made on that day (of the last 96), and p50_ms, p95_ms and max_ms are the median, '
  'the 95th percentile and the highest latency in milliseconds of those that were healthy or degraded. Null where nothing is '
  'known. No rows for a caller who may not see the organisation, or for a type that is not there. Errors: 22023 when days is '
  'null or outside 1 to 90, or for malformed claims.';

-- ---------------------------------------------------------------------------------------------
-- Reports on syncs: which are due, late or missed, and which started cold
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION integration_health_private.require_all_syncs()
RETURNS void
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY[
    '@extschema@.integration_sync_schedules'::regclass, '@extschema@.integration_sync_runs'::regclass,
    'integration_health_private.sync_plans'::regclass]);
END;
COMMENT ON FUNCTION integration_health_private.require_all_syncs() IS
  'Calls require_all_rows for schedules, plans and runs.';

-- @from 1.1
DROP FUNCTION integration_health_private.due_syncs(integer);
-- @end
-- The schedules whose last period can be claimed; earlier periods do not count.
CREATE FUNCTION integration_health_private.due_periods(max_rows integer)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text, due_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT s.org_id, s.integration_type, p.scheduled_for,
         COALESCE((SELECT r.attempt FROM @extschema@.integration_sync_runs r
                    WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type
                      AND r.scheduled_for = p.scheduled_for), 0),
         @extschema@.integration_sync_key(s.org_id, s.integration_type, p.scheduled_for), s.due_at
    FROM @extschema@.integration_sync_schedules s
   CROSS JOIN LATERAL @extschema@.integration_sync_last_period(
           s.every, s.anchor, integration_health_private.usable_time_zone(
             s.org_id, s.integration_type, s.every, s.anchor, s.time_zone), pg_catalog.now()) AS p (scheduled_for)
   WHERE s.enabled AND s.due_at <= pg_catalog.now() AND p.scheduled_for IS NOT NULL
     AND NOT EXISTS (
         SELECT FROM @extschema@.integration_sync_runs r
          WHERE r.org_id = s.org_id AND r.integration_type = s.integration_type AND r.scheduled_for = p.scheduled_for
            AND NOT integration_health_private.may_lease(
                  r.outcome, r.attempt, r.finished_at, r.lease_until, s.max_attempts, s.retry_backoff, pg_catalog.now()))
   ORDER BY s.due_at LIMIT due_periods.max_rows;
END;
COMMENT ON FUNCTION integration_health_private.due_periods(integer) IS
  'Runs the query of get_due_syncs; due_at is since when a period can be claimed.';

-- As in lease_checks, the index is used however many schedules are due.
CREATE FUNCTION @extschema@.get_due_syncs(max_rows integer DEFAULT 1000)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer,
  idempotency_key text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  PERFORM integration_health_private.require_max_rows(get_due_syncs.max_rows);
  PERFORM integration_health_private.require_all_syncs();
  RETURN QUERY
    SELECT d.org_id, d.integration_type, d.scheduled_for, d.attempts, d.idempotency_key
      FROM integration_health_private.due_periods(get_due_syncs.max_rows) AS d;
END
$$;
COMMENT ON FUNCTION @extschema@.get_due_syncs(integer) IS
  'For sync workers: returns at most max_rows periods that can be claimed, of each enabled schedule only the last '
  'one: nobody has run it, or its last attempt failed and its wait is over, or the lease of that attempt ran out, and '
  'it has not been given up. Those claimable longest come first; attempts is how many there were. Errors: 22023 when '
  'max_rows is null or below 1, 55000 when row-level security applies to the owner of the function.';

CREATE FUNCTION integration_health_private.sync_drift(org_id uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome @extschema@.integration_sync_outcome,
  cold_start boolean)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT r.integration_type, t.display_name, r.scheduled_for, r.started_at, r.drift,
         r.attempt, r.outcome, r.cold_start
    FROM @extschema@.integration_sync_runs r
    JOIN @extschema@.integration_types t ON t.integration_type = r.integration_type
   WHERE r.org_id = sync_drift.org_id AND r.scheduled_for >= sync_drift.since
     AND @extschema@.integration_sync_is_late(r.drift)
   ORDER BY r.scheduled_for DESC, r.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.sync_drift(uuid, timestamptz) IS
  'Runs the query of get_sync_drift, for periods since a time.';

CREATE FUNCTION @extschema@.get_sync_drift(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome @extschema@.integration_sync_outcome,
  cold_start boolean)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.sync_drift(get_sync_drift.org_id, since);
END
$$;
COMMENT ON FUNCTION @extschema@.get_sync_drift(uuid, integer) IS
  'Returns the runs for periods of the last hours (1 to 720) that started later than integration_health.max_drift, '
  'newest first. No rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 '
  'to 720, or for malformed claims.';

-- Defines "missed" for every report. Organisations are selected by a range, so that one plan serves one of them as well
-- as all.
CREATE FUNCTION integration_health_private.missed_syncs(of_org uuid, since timestamptz)
RETURNS TABLE (
  org_id uuid, integration_type text, scheduled_for timestamptz, attempts integer, given_up boolean)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT d.org_id, d.integration_type, d.scheduled_for, COALESCE(r.attempt, 0),
         COALESCE(r.attempt >= d.max_attempts, false)
    FROM (SELECT p.org_id, p.integration_type, p.max_attempts,
                 @extschema@.integration_sync_periods(
                   p.every, p.anchor, integration_health_private.usable_time_zone(
                     p.org_id, p.integration_type, p.every, p.anchor, p.time_zone),
                   GREATEST(missed_syncs.since, p.since), p.until) AS scheduled_for
            FROM (SELECT s.org_id, s.integration_type, s.every, s.anchor, s.time_zone,
                         GREATEST(s.planned_since, s.pruned_until + interval '1 microsecond') AS since,
                         pg_catalog.now() AS until, s.max_attempts
                    FROM @extschema@.integration_sync_schedules s
                   WHERE s.enabled
                     AND s.org_id >= COALESCE(missed_syncs.of_org, '00000000-0000-0000-0000-000000000000')
                     AND s.org_id <= COALESCE(missed_syncs.of_org, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                   UNION ALL
                  SELECT c.org_id, c.integration_type, c.every, c.anchor, c.time_zone,
                         GREATEST(c.since, s.pruned_until + interval '1 microsecond'),
                         c.until - interval '1 microsecond', s.max_attempts
                    FROM integration_health_private.sync_plans c
                    JOIN @extschema@.integration_sync_schedules s
                      ON s.org_id = c.org_id AND s.integration_type = c.integration_type
                   WHERE c.until > missed_syncs.since
                     AND c.org_id >= COALESCE(missed_syncs.of_org, '00000000-0000-0000-0000-000000000000')
                     AND c.org_id <= COALESCE(missed_syncs.of_org, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) p) d
    LEFT JOIN @extschema@.integration_sync_runs r
      ON r.org_id = d.org_id AND r.integration_type = d.integration_type
     AND r.scheduled_for = d.scheduled_for AND r.scheduled_for >= missed_syncs.since
   WHERE @extschema@.integration_sync_is_late(pg_catalog.now() - d.scheduled_for)
     AND CASE r.outcome WHEN 'succeeded' THEN false
                        WHEN 'running' THEN r.lease_until < pg_catalog.now()
                        WHEN 'failed' THEN r.attempt >= d.max_attempts
                        ELSE true END;
END;
COMMENT ON FUNCTION integration_health_private.missed_syncs(uuid, timestamptz) IS
  'Returns the periods since a time, of one organisation, or of all when of_org is null, that are later than '
  'integration_health.max_drift and that nobody ran, whose lease ran out before an end was reported, or that failed '
  'max_attempts times. Leaves out periods whose runs the cleanup has deleted.';

CREATE FUNCTION integration_health_private.missed_syncs_of(org_id uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, overdue interval,
  attempts integer, given_up boolean)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT m.integration_type, t.display_name, m.scheduled_for,
         pg_catalog.now() - m.scheduled_for AS overdue, m.attempts, m.given_up
    FROM integration_health_private.missed_syncs(missed_syncs_of.org_id, missed_syncs_of.since) m
    JOIN @extschema@.integration_types t ON t.integration_type = m.integration_type
   WHERE missed_syncs_of.org_id IS NOT NULL
   ORDER BY m.scheduled_for DESC, m.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.missed_syncs_of(uuid, timestamptz) IS
  'Runs the query of get_missed_syncs, for periods since a time.';

CREATE FUNCTION @extschema@.get_missed_syncs(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, overdue interval,
  attempts integer, given_up boolean)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.missed_syncs_of(get_missed_syncs.org_id, since);
END
$$;
COMMENT ON FUNCTION @extschema@.get_missed_syncs(uuid, integer) IS
  'Returns the periods of the last hours (1 to 720) that nobody ran (attempts 0), whose lease ran out before an end '
  'was reported, or that failed max_attempts times, newest first; overdue is the time since the period, given_up '
  'whether no attempt is left. A period counts once it is later than integration_health.max_drift, by the schedule as '
  'it was then, and as far back as the cleanup has left the ledger. No rows for a caller who may not see the '
  'organisation. Errors: 22023 when hours is null or outside 1 to 720, or for malformed claims.';

CREATE FUNCTION integration_health_private.cold_starts(org_id uuid, since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome @extschema@.integration_sync_outcome)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
  SELECT r.integration_type, t.display_name, r.scheduled_for, r.started_at, r.drift,
         r.attempt, r.outcome
    FROM @extschema@.integration_sync_runs r
    JOIN @extschema@.integration_types t ON t.integration_type = r.integration_type
   WHERE r.org_id = cold_starts.org_id AND r.scheduled_for >= cold_starts.since
     AND r.cold_start
   ORDER BY r.scheduled_for DESC, r.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.cold_starts(uuid, timestamptz) IS
  'Runs the query of get_cold_starts, for periods since a time.';

CREATE FUNCTION @extschema@.get_cold_starts(org_id uuid, hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, scheduled_for timestamptz, started_at timestamptz,
  drift interval, attempt integer, outcome @extschema@.integration_sync_outcome)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- First, whatever the query comes to.
  since timestamptz := integration_health_private.readable_since(hours);
BEGIN
  RETURN QUERY SELECT * FROM integration_health_private.cold_starts(get_cold_starts.org_id, since);
END
$$;
COMMENT ON FUNCTION @extschema@.get_cold_starts(uuid, integer) IS
  'Returns the runs for periods of the last hours (1 to 720) whose worker had to be started first, newest first. No '
  'rows for a caller who may not see the organisation. Errors: 22023 when hours is null or outside 1 to 720, or for '
  'malformed claims.';

CREATE FUNCTION integration_health_private.global_sync_summary(since timestamptz)
RETURNS TABLE (
  integration_type text, display_name text, schedules bigint, succeeded bigint, failed bigint,
  running bigint, late bigint, missed bigint, cold_starts bigint, max_drift interval, given_up bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
  WITH run AS (
    SELECT r.integration_type,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'succeeded') AS succeeded,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'failed') AS failed,
           pg_catalog.count(*) FILTER (WHERE r.outcome = 'running') AS running,
           pg_catalog.count(*) FILTER (WHERE @extschema@.integration_sync_is_late(r.drift)) AS late,
           pg_catalog.count(*) FILTER (WHERE r.cold_start) AS cold_starts,
           pg_catalog.max(r.drift) AS max_drift
      FROM @extschema@.integration_sync_runs r
     WHERE r.scheduled_for >= global_sync_summary.since GROUP BY r.integration_type
  ), plan AS (
    SELECT s.integration_type, pg_catalog.count(*) AS schedules
      FROM @extschema@.integration_sync_schedules s WHERE s.enabled GROUP BY s.integration_type
  ), missing AS (
    SELECT m.integration_type, pg_catalog.count(*) AS missed,
           pg_catalog.count(*) FILTER (WHERE m.given_up) AS given_up
      FROM integration_health_private.missed_syncs(NULL, global_sync_summary.since) m
     GROUP BY m.integration_type
  )
  SELECT t.integration_type, t.display_name, COALESCE(p.schedules, 0), COALESCE(r.succeeded, 0),
         COALESCE(r.failed, 0), COALESCE(r.running, 0), COALESCE(r.late, 0), COALESCE(m.missed, 0),
         COALESCE(r.cold_starts, 0), r.max_drift, COALESCE(m.given_up, 0)
    FROM @extschema@.integration_types t
    LEFT JOIN run r ON r.integration_type = t.integration_type
    LEFT JOIN plan p ON p.integration_type = t.integration_type
    LEFT JOIN missing m ON m.integration_type = t.integration_type
   ORDER BY t.display_name, t.integration_type;
END;
COMMENT ON FUNCTION integration_health_private.global_sync_summary(timestamptz) IS
  'Runs the query of get_global_sync_summary.';

CREATE FUNCTION @extschema@.get_global_sync_summary(hours integer DEFAULT 24)
RETURNS TABLE (
  integration_type text, display_name text, schedules bigint, succeeded bigint, failed bigint,
  running bigint, late bigint, missed bigint, cold_starts bigint, max_drift interval, given_up bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off ROWS 10 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  PERFORM integration_health_private.require_all_syncs();
  RETURN QUERY SELECT * FROM integration_health_private.global_sync_summary(
    integration_health_private.window_start(get_global_sync_summary.hours));
END
$$;
COMMENT ON FUNCTION @extschema@.get_global_sync_summary(integer) IS
  'Returns for every integration type, by display name, the number of enabled schedules of all organisations and, for '
  'the periods of the last hours (1 to 720), how many runs succeeded, failed, are running, started late or cold, how '
  'many periods were missed (as in get_missed_syncs), the longest drift, and how many missed periods have no attempt '
  'left. Errors: 42501 as get_global_health_summary, 22023 when hours is null or outside 1 to 720, or for malformed '
  'claims, 55000 when row-level security applies to the owner of the function.';

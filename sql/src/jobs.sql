-- ---------------------------------------------------------------------------------------------
-- Jobs
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.integration_health_cleanup(
  retention interval DEFAULT '30 days', max_rows integer DEFAULT 50000)
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_cleanup';
COMMENT ON FUNCTION @extschema@.integration_health_cleanup(interval, integer) IS
  'Deletes at most max_rows rows, of history with checked_at, and of sync runs with their period and their end, longer ago than retention (a day or more), and returns how many; rows that a writer holds wait for the next run. Errors: 22023 retention is null or shorter than a day, or max_rows is null or below 1.';

-- Nothing is expected of a pair that was checked within two of the shortest intervals: that spares the rest of the
-- question for most of them. A monitor that waits longer than the rules say, for the clock was ahead, or the check that
-- ended a row of failures found it locked, is due at once. SKIP LOCKED keeps the job out of the way of the monitors.
CREATE FUNCTION @extschema@.mark_stale_health(max_rows integer DEFAULT 10000)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.require_max_rows(mark_stale_health.max_rows);
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    '@extschema@.integration_health_status'::regclass, '@extschema@.integration_monitors'::regclass]);
  WITH stale AS MATERIALIZED (
    SELECT s.org_id, s.integration_type, s.checked_at, s.consecutive_failures
      FROM @extschema@.integration_health_status s
      JOIN @extschema@.integration_types t ON t.integration_type = s.integration_type
      LEFT JOIN LATERAL (
        SELECT o.enabled, o.claimed_at, o.due_at, o.planned_since
          FROM @extschema@.integration_monitors o
         WHERE o.org_id = s.org_id AND o.integration_type = s.integration_type
         LIMIT 1) m ON true
     WHERE s.checked_at < (SELECT pg_catalog.max(pg_catalog.now() - (a.check_interval + a.check_interval))
                             FROM @extschema@.integration_types a WHERE a.monitoring_mode = 'active')
       AND s.status <> 'unknown'
       AND integration_health_private.stale_at(
             s.checked_at, s.consecutive_failures, t.monitoring_mode, t.check_interval, t.max_backoff,
             GREATEST(t.planned_since, t.passive_until), m.enabled, m.claimed_at, m.due_at, m.planned_since)
           < pg_catalog.now()
     LIMIT mark_stale_health.max_rows FOR UPDATE OF s SKIP LOCKED
  ), late AS MATERIALIZED (
    SELECT o.org_id, o.integration_type
      FROM stale x
      JOIN @extschema@.integration_monitors o ON o.org_id = x.org_id AND o.integration_type = x.integration_type
      JOIN @extschema@.integration_types t ON t.integration_type = x.integration_type
     WHERE o.due_at > GREATEST(pg_catalog.now(), @extschema@.integration_monitor_ready_at(
             o.org_id, o.integration_type,
             CASE WHEN o.claimed_at > pg_catalog.now() THEN pg_catalog.now() ELSE o.claimed_at END,
             t.check_interval, t.max_backoff, x.consecutive_failures))
       FOR NO KEY UPDATE OF o SKIP LOCKED
  ), moved AS (
    UPDATE @extschema@.integration_monitors m
       SET due_at = pg_catalog.now(),
           claimed_at = CASE WHEN m.claimed_at > pg_catalog.now() THEN pg_catalog.now() ELSE m.claimed_at END
      FROM late l WHERE m.org_id = l.org_id AND m.integration_type = l.integration_type
  ), marked AS (
    UPDATE @extschema@.integration_health_status s
       SET status = 'unknown', latency_ms = NULL, http_status = NULL, checked_at = pg_catalog.now(),
           error = pg_catalog.format('no check since %s', pg_catalog.to_char(
             pg_catalog.timezone('UTC', x.checked_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
      FROM stale x WHERE s.org_id = x.org_id AND s.integration_type = x.integration_type
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM marked;
END;
COMMENT ON FUNCTION @extschema@.mark_stale_health(integer) IS
  'Records status unknown for at most max_rows pairs that are stale: those that were not checked in twice the time in which they should have been, which is the check_interval, or the backoff that the monitor of a failing pair waits; pairs of passive types and with disabled monitors are not. Returns how many. Errors: 22023 max_rows is null or below 1, 55000 a trigger or rule of somebody else on the tables.';

CREATE FUNCTION @extschema@.integration_health_compact()
RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_compact';
COMMENT ON FUNCTION @extschema@.integration_health_compact() IS
  'Folds the rows of integration_health_counts into one for each type and status, and returns how many rows went. Blocks no writer, changes no count.';

CREATE FUNCTION @extschema@.schedule_integration_health_jobs(
  cleanup_schedule text DEFAULT '17 3 * * *', counts_schedule text DEFAULT '* * * * *',
  stale_schedule text DEFAULT '*/5 * * * *', warm_up_schedule text DEFAULT NULL)
RETURNS TABLE (job_id bigint, job_name text, schedule text, command text)
LANGUAGE c VOLATILE ROWS 4 AS 'MODULE_PATHNAME', 'ih_schedule_jobs';
COMMENT ON FUNCTION @extschema@.schedule_integration_health_jobs(text, text, text, text) IS
  'Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must be a role that can log in. warm_up_schedule null: every 30 seconds where pg_cron knows seconds (1.5), else every minute. Errors: 0A000 pg_cron is not in this database, 22023 another schedule is null; pg_cron''s own errors for a schedule it cannot read.';

CREATE FUNCTION @extschema@.unschedule_integration_health_jobs()
RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ih_unschedule_jobs';
COMMENT ON FUNCTION @extschema@.unschedule_integration_health_jobs() IS
  'Removes the caller''s pg_cron jobs of the extension and returns how many there were. Errors: 0A000 pg_cron is not in this database.';

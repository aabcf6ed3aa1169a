-- ---------------------------------------------------------------------------------------------
-- Jobs
-- ---------------------------------------------------------------------------------------------

-- The oldest check of a pair is in the slot that is overwritten next, or in slot 1 of a ring that is not full yet. If
-- it is young enough, so are all the others, except late ones, which have an index of their own, and no other row is
-- read. Rows that a writer is overwriting are about to become younger, so they are skipped. Rows are deleted by their keys,
-- here and below, because ctid is not unique among partitions; nested loops keep that from reading the whole table.
CREATE FUNCTION integration_health_private.delete_history(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off SET enable_partitionwise_join = on
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_health_history'::regclass]);
  SELECT integration_health_private.require_all_rows(VARIADIC ARRAY['@extschema@.integration_health_status'::regclass]);
  WITH old AS MATERIALIZED (
    SELECT s.org_id, s.integration_type, o.slot
      FROM @extschema@.integration_health_status s
      LEFT JOIN @extschema@.integration_health_history f
        ON f.org_id = s.org_id AND f.integration_type = s.integration_type
       AND f.slot = CASE WHEN s.check_no >= 96 THEN ((s.check_no + 1) % 96)::smallint ELSE 1::smallint END
     CROSS JOIN LATERAL pg_catalog.unnest(ARRAY(
       SELECT x.slot FROM @extschema@.integration_health_history x
        WHERE x.org_id = s.org_id AND x.integration_type = s.integration_type
          AND x.checked_at < delete_history.cutoff
          FOR UPDATE SKIP LOCKED)) AS o (slot)
     WHERE COALESCE(f.checked_at < delete_history.cutoff, true)
    UNION ALL
    SELECT l.org_id, l.integration_type, l.slot FROM (
      SELECT y.org_id, y.integration_type, y.slot FROM @extschema@.integration_health_history y
       WHERE y.is_late AND y.checked_at < delete_history.cutoff
         FOR UPDATE SKIP LOCKED) l
    LIMIT delete_history.max_rows
  ), gone AS (
    DELETE FROM @extschema@.integration_health_history h USING old o
     WHERE h.org_id = o.org_id AND h.integration_type = o.integration_type AND h.slot = o.slot
    RETURNING 1
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.delete_history(timestamptz, bigint) IS
  'Deletes at most max_rows rows of history with a checked_at before cutoff, and returns how many. Errors: 55000 as '
  'require_own_triggers and require_all_rows.';

-- Deletes runs that have ended, or that nobody will end. pruned_until remembers them, since the ledger can no longer
-- tell that such a period has been run.
CREATE FUNCTION integration_health_private.delete_runs(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE SET enable_hashjoin = off SET enable_mergejoin = off
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    '@extschema@.integration_sync_runs'::regclass, '@extschema@.integration_sync_schedules'::regclass]);
  WITH old AS MATERIALIZED (
    SELECT o.org_id, o.integration_type, o.scheduled_for FROM @extschema@.integration_sync_runs o
     WHERE o.scheduled_for < delete_runs.cutoff AND COALESCE(o.finished_at, o.lease_until) < delete_runs.cutoff
     LIMIT delete_runs.max_rows FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM @extschema@.integration_sync_runs r USING old o
     WHERE r.org_id = o.org_id AND r.integration_type = o.integration_type AND r.scheduled_for = o.scheduled_for
    RETURNING r.org_id, r.integration_type, r.scheduled_for
  ), newest AS MATERIALIZED (
    SELECT g.org_id, g.integration_type, pg_catalog.max(g.scheduled_for) AS scheduled_for
      FROM gone g GROUP BY g.org_id, g.integration_type ORDER BY g.org_id, g.integration_type
  ), remembered AS (
    UPDATE @extschema@.integration_sync_schedules s
       SET pruned_until = GREATEST(s.pruned_until, n.scheduled_for)
      FROM newest n WHERE s.org_id = n.org_id AND s.integration_type = n.integration_type
  )
  SELECT pg_catalog.count(*) FROM gone;
END;
COMMENT ON FUNCTION integration_health_private.delete_runs(timestamptz, bigint) IS
  'Deletes at most max_rows sync runs whose period and end lie before cutoff, and returns how many. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION integration_health_private.expire_incidents(cutoff timestamptz, max_rows bigint)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    '@extschema@.integration_incidents'::regclass, '@extschema@.integration_alerts'::regclass]);
  WITH incidents AS (
    DELETE FROM @extschema@.integration_incidents i
     WHERE i.ctid = ANY (ARRAY(
       SELECT x.ctid FROM @extschema@.integration_incidents x WHERE x.resolved_at < expire_incidents.cutoff
        ORDER BY x.resolved_at LIMIT expire_incidents.max_rows FOR UPDATE SKIP LOCKED))
    RETURNING 1
  ), alerts AS (
    DELETE FROM @extschema@.integration_alerts a
     WHERE a.ctid = ANY (ARRAY(
       SELECT x.ctid FROM @extschema@.integration_alerts x
        WHERE x.created_at < expire_incidents.cutoff
          AND NOT EXISTS (SELECT FROM @extschema@.integration_incidents i
                           WHERE i.incident_id = x.incident_id AND i.resolved_at IS NULL)
        ORDER BY x.created_at LIMIT expire_incidents.max_rows FOR UPDATE SKIP LOCKED))
    RETURNING 1
  )
  SELECT (SELECT pg_catalog.count(*) FROM incidents) + (SELECT pg_catalog.count(*) FROM alerts);
END;
COMMENT ON FUNCTION integration_health_private.expire_incidents(timestamptz, bigint) IS
  'Deletes incidents that were resolved, and alerts, delivered or not, of no open incident that were made, before cutoff; of '
  'each at most max_rows. Returns how many. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.expire_maintenance(cutoff timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  deleted bigint;
BEGIN
  PERFORM integration_health_private.guard('integration_maintenance');
  DELETE FROM integration_health_private.maintenance AS m WHERE m.ends_at < cutoff;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;
COMMENT ON FUNCTION integration_health_private.expire_maintenance(timestamptz) IS
  'Deletes maintenance that ended before cutoff, and returns how many. Errors: 55000 as require_own_triggers.';

-- A clock that was ahead for a moment leaves times that the rules cannot produce, and that nothing would ever correct.
-- claim_due_health_checks corrects the monitors that it hands out, this function the rest. No wait of a run is longer
-- than a day, and dispatch_sync_warm_ups looks no further ahead.
CREATE FUNCTION integration_health_private.heal_types()
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_types'::regclass]);
  UPDATE @extschema@.integration_types t SET planned_since = pg_catalog.now()
   WHERE t.planned_since > pg_catalog.now() + interval '1 day';
END;
COMMENT ON FUNCTION integration_health_private.heal_types() IS
  'Replaces what a clock that was ahead has left in planned_since of types. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION integration_health_private.heal_times()
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    '@extschema@.integration_monitors'::regclass, '@extschema@.integration_sync_schedules'::regclass]);
  UPDATE @extschema@.integration_monitors m SET planned_since = pg_catalog.now()
   WHERE m.planned_since > pg_catalog.clock_timestamp() + interval '1 day';
  UPDATE @extschema@.integration_sync_schedules s
     SET planned_since = LEAST(s.planned_since, n.now), due_at = LEAST(s.due_at, n.next),
         warm_up_for = LEAST(s.warm_up_for, n.next)
    FROM (SELECT o.org_id, o.integration_type, w.now,
                 @extschema@.integration_sync_next_period(o.every, o.anchor, z.time_zone, w.now) AS next,
                 @extschema@.integration_sync_next_period(o.every, o.anchor, z.time_zone, w.now + interval '1 day') AS farthest
            FROM (SELECT pg_catalog.clock_timestamp() OFFSET 0) AS w (now)
            JOIN @extschema@.integration_sync_schedules o
              ON GREATEST(o.planned_since, o.due_at, o.warm_up_for) > w.now + interval '1 day'
           CROSS JOIN LATERAL integration_health_private.usable_time_zone(
                   o.org_id, o.integration_type, o.every, o.anchor, o.time_zone) AS z (time_zone)
           WHERE o.enabled
             FOR NO KEY UPDATE OF o SKIP LOCKED) n
   WHERE s.org_id = n.org_id AND s.integration_type = n.integration_type
     AND (s.planned_since > n.now + interval '1 day' OR s.due_at > n.farthest OR s.warm_up_for > n.farthest);
END;
COMMENT ON FUNCTION integration_health_private.heal_times() IS
  'Replaces what a clock that was ahead has left in planned_since of monitors and schedules, and in due_at and '
  'warm_up_for of schedules. Errors: 55000 as require_own_triggers.';

-- Keeps at least 24 hours: an interval that compares as a day or more may be shorter in the calendar, like
-- '-1 month 31 days', or '1 day' across a change of the clocks.
CREATE FUNCTION @extschema@.integration_health_cleanup(
  retention interval DEFAULT '30 days', max_rows integer DEFAULT 50000)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  cutoff timestamptz;
  older timestamptz;
  deleted bigint;
BEGIN
  IF retention IS NULL OR retention < interval '1 day' THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'retention must be at least one day',
      HINT = 'Pass ''1 day'' or more, or leave the argument out for 30 days.';
  END IF;
  PERFORM integration_health_private.require_max_rows(max_rows);
  cutoff := LEAST(now() - retention, now() - interval '24 hours');
  older := LEAST(cutoff, now() - interval '90 days');
  deleted := integration_health_private.delete_history(cutoff, max_rows);
  IF deleted < max_rows THEN
    deleted := deleted + integration_health_private.delete_runs(cutoff, max_rows - deleted);
  END IF;
  IF deleted < max_rows THEN
    deleted := deleted + integration_health_private.expire_transitions(older, max_rows - deleted);
  END IF;
  IF deleted < max_rows THEN
    deleted := deleted + integration_health_private.expire_incidents(older, max_rows - deleted)
               + integration_health_private.expire_maintenance(older);
  END IF;
  PERFORM integration_health_private.heal_types();
  PERFORM integration_health_private.heal_times();
  PERFORM integration_health_private.note_job('integration_health_cleanup');
  RETURN deleted;
END
$$;
COMMENT ON FUNCTION @extschema@.integration_health_cleanup(interval, integer) IS
  'Deletes at most max_rows rows and returns how many: history whose checked_at, and sync runs whose period and end, '
  'are longer ago than retention (a day or more); and transitions, resolved incidents, ended maintenance, and alerts of '
  'no open incident, that are longer ago than retention and 90 days. Rows that a writer has locked wait for the next run. '
  'Also corrects what a clock that was ahead has left. Errors: 22023 '
  'when retention is null or shorter than a day, or max_rows is null or below 1, 55000 when somebody else has a '
  'trigger or rule on the tables.';

-- A pair that was checked within two of the shortest intervals cannot be stale, which settles the question for most
-- pairs. A monitor that waits longer than the rules say, because the clock was ahead, or because the check that ended a
-- series of failures found it locked, becomes due at once. SKIP LOCKED keeps the job out of the way of the monitors.
CREATE FUNCTION integration_health_private.mark_stale(max_rows integer)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
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
     LIMIT mark_stale.max_rows FOR UPDATE OF s SKIP LOCKED
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
COMMENT ON FUNCTION integration_health_private.mark_stale(integer) IS
  'Does the work of mark_stale_health. Errors: 55000 as require_own_triggers.';

CREATE FUNCTION @extschema@.mark_stale_health(max_rows integer DEFAULT 10000)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT integration_health_private.require_max_rows(mark_stale_health.max_rows);
  SELECT integration_health_private.note_job('integration_health_stale');
  SELECT integration_health_private.mark_stale(mark_stale_health.max_rows);
END;
COMMENT ON FUNCTION @extschema@.mark_stale_health(integer) IS
  'Records status unknown for at most max_rows pairs that are stale, and returns how many. A pair is stale when it '
  'was not checked in twice the time in which it should have been: the check_interval, or the backoff that the '
  'monitor of a failing pair waits. Pairs of passive types, or with disabled monitors, are not stale. Errors: 22023 '
  'when max_rows is null or below 1, 55000 when somebody else has a trigger or rule on the tables.';

-- The functions that the jobs call. Nobody else can create a function in this schema, so a look-alike in the schema of
-- the API, which may have defaults for further arguments, cannot make a call ambiguous.
CREATE FUNCTION integration_health_private.run_cleanup()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT @extschema@.integration_health_cleanup();
END;
COMMENT ON FUNCTION integration_health_private.run_cleanup() IS 'Calls integration_health_cleanup() with its defaults.';

CREATE FUNCTION integration_health_private.run_counts()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT @extschema@.integration_health_compact();
END;
COMMENT ON FUNCTION integration_health_private.run_counts() IS 'Calls integration_health_compact().';

CREATE FUNCTION integration_health_private.run_stale()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT @extschema@.mark_stale_health();
END;
COMMENT ON FUNCTION integration_health_private.run_stale() IS 'Calls mark_stale_health() with its default.';

CREATE FUNCTION integration_health_private.run_warm_up()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT @extschema@.dispatch_sync_warm_ups();
END;
COMMENT ON FUNCTION integration_health_private.run_warm_up() IS 'Calls dispatch_sync_warm_ups() with its default.';

CREATE FUNCTION integration_health_private.run_watch()
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT @extschema@.integration_health_watch();
END;
COMMENT ON FUNCTION integration_health_private.run_watch() IS 'Calls integration_health_watch() with its default.';

-- The only list of the jobs.
CREATE FUNCTION integration_health_private.jobs()
RETURNS TABLE (number integer, job_name text, command text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  VALUES (1, 'integration_health_cleanup', 'SELECT integration_health_private.cleanup_job()'),
         (2, 'integration_health_counts', 'SELECT integration_health_private.run_counts()'),
         (3, 'integration_health_stale', 'SELECT integration_health_private.run_stale()'),
         (4, 'integration_health_warm_up', 'SELECT integration_health_private.run_warm_up()'),
         (5, 'integration_health_watch', 'SELECT integration_health_private.run_watch()');
END;
COMMENT ON FUNCTION integration_health_private.jobs() IS
  'Returns the jobs of the extension, in the order of the arguments of schedule_integration_health_jobs.';

-- A table of the same name that is not pg_cron's own may belong to anybody, and run that role's code.
CREATE FUNCTION integration_health_private.has_cron()
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT pg_catalog.count(*) = 2
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
     AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e'
    JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relname IN ('job', 'job_run_details') AND c.relkind = 'r'
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'cron'
   WHERE e.extname = 'pg_cron';
END;
COMMENT ON FUNCTION integration_health_private.has_cron() IS
  'Returns whether pg_cron is in this database, and cron.job and cron.job_run_details are its tables.';

CREATE FUNCTION integration_health_private.cleanup_job()
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF integration_health_private.has_cron()
     AND pg_catalog.has_table_privilege('cron.job_run_details', 'SELECT')
     AND pg_catalog.has_table_privilege('cron.job_run_details', 'DELETE') THEN
    EXECUTE 'DELETE FROM cron.job_run_details AS d USING cron.job AS j, integration_health_private.jobs() AS k
              WHERE j.jobid = d.jobid AND j.jobname = k.job_name AND j.database = pg_catalog.current_database()
                AND d.end_time < pg_catalog.now() - interval ''7 days''';
  END IF;
  RETURN integration_health_private.run_cleanup();
END
$$;
COMMENT ON FUNCTION integration_health_private.cleanup_job() IS
  'Calls integration_health_cleanup() with its defaults, after deleting what pg_cron noted of runs of these jobs that '
  'ended more than 7 days ago.';

CREATE FUNCTION integration_health_private.health_jobs()
RETURNS TABLE (
  job_name text, schedule text, owner text, active boolean, last_started_at timestamptz, last_status text,
  last_message text, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5 AS $$
BEGIN
  IF NOT integration_health_private.has_cron() THEN
    RETURN QUERY SELECT k.job_name, NULL::text, NULL::text, NULL::boolean, NULL::timestamptz, NULL::text, NULL::text,
                        'pg_cron is not installed in this database'
                   FROM integration_health_private.jobs() AS k ORDER BY k.number;
    RETURN;
  END IF;
  RETURN QUERY EXECUTE $query$
    SELECT k.job_name, j.schedule::text, j.username::text, j.active, r.start_time, r.status::text, r.return_message::text,
           CASE WHEN j.jobid IS NULL THEN 'not scheduled'
                WHEN NOT j.active THEN 'switched off'
                WHEN count(*) OVER (PARTITION BY k.job_name) > 1 THEN 'scheduled by more than one role'
                WHEN r.status = 'failed' THEN 'the last run failed' END
      FROM integration_health_private.jobs() AS k
      LEFT JOIN cron.job AS j ON j.jobname = k.job_name AND j.database = current_database()
      LEFT JOIN LATERAL (SELECT d.start_time, d.status, d.return_message FROM cron.job_run_details AS d
                          WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1) AS r ON true
     ORDER BY k.number, j.username $query$;
END
$$;
COMMENT ON FUNCTION integration_health_private.health_jobs() IS
  'Runs the query of get_health_jobs, for callers who may see all of it.';

CREATE FUNCTION integration_health_private.health_jobs_for_admin()
RETURNS TABLE (
  job_name text, schedule text, owner text, active boolean, last_started_at timestamptz, last_status text,
  last_message text, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5 AS $$
BEGIN
  PERFORM integration_health_private.require_admin_role();
  RETURN QUERY SELECT * FROM integration_health_private.health_jobs();
END
$$;
COMMENT ON FUNCTION integration_health_private.health_jobs_for_admin() IS
  'Calls health_jobs for global admins. Errors: as require_admin_role.';

CREATE FUNCTION @extschema@.get_health_jobs()
RETURNS TABLE (
  job_name text, schedule text, owner text, active boolean, last_started_at timestamptz, last_status text,
  last_message text, problem text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 5 AS $$
BEGIN
  IF pg_catalog.has_function_privilege('integration_health_private.health_jobs()', 'EXECUTE') THEN
    RETURN QUERY SELECT * FROM integration_health_private.health_jobs();
  ELSE
    RETURN QUERY SELECT * FROM integration_health_private.health_jobs_for_admin();
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.get_health_jobs() IS
  'Returns for each pg_cron job of the extension its schedule, the role it runs as, whether it is active, and when '
  'its last run began, how that ended and what it said; problem says in words what is wrong, and is null when nothing '
  'is. A job that is not scheduled has a row, too. For the writer, the owner and global admins. Errors: 42501 as '
  'get_global_health_summary for readers without the admin role, 22023 for malformed claims.';

CREATE FUNCTION @extschema@.schedule_integration_health_jobs(
  cleanup_schedule text DEFAULT '17 3 * * *', counts_schedule text DEFAULT '* * * * *',
  stale_schedule text DEFAULT '*/5 * * * *', warm_up_schedule text DEFAULT NULL, watch_schedule text DEFAULT '* * * * *')
RETURNS TABLE (job_id bigint, job_name text, schedule text, command text)
LANGUAGE plpgsql VOLATILE ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedules text[] := ARRAY[cleanup_schedule, counts_schedule, stale_schedule, warm_up_schedule, watch_schedule];
  owner text;
  failed record;
  job record;
BEGIN
  IF NOT integration_health_private.has_cron() THEN
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'pg_cron is not installed in this database',
      HINT = 'Add pg_cron to shared_preload_libraries, set cron.database_name to this database, restart, '
             'and run CREATE EXTENSION pg_cron.';
  END IF;
  -- pg_cron knows seconds since version 1.5.
  IF warm_up_schedule IS NULL THEN
    schedules[4] := (
      SELECT CASE WHEN pg_catalog.string_to_array(pg_catalog.substring(e.extversion, '^[0-9]+[.][0-9]+'), '.')::int[]
                       >= '{1,5}' THEN '30 seconds' ELSE '* * * * *' END
        FROM pg_catalog.pg_extension AS e WHERE e.extname = 'pg_cron');
  END IF;
  IF pg_catalog.array_position(schedules, NULL) IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a schedule must not be null',
      HINT = 'Leave the argument out for its default.';
  END IF;

  -- If two roles had these jobs, everything would be done twice.
  FOR owner IN SELECT DISTINCT h.owner FROM integration_health_private.health_jobs() AS h
                WHERE h.owner <> current_user::text LOOP
    IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user) THEN
      RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = pg_catalog.format('role %s has scheduled the jobs', owner),
        HINT = 'Let that role, or a superuser, call unschedule_integration_health_jobs() first.';
    END IF;
    EXECUTE 'SELECT cron.unschedule(j.jobid) FROM cron.job AS j
               JOIN integration_health_private.jobs() AS k ON k.job_name = j.jobname
              WHERE j.database = pg_catalog.current_database() AND j.username = $1' USING owner;
  END LOOP;

  FOR job IN SELECT k.number, k.job_name, k.command FROM integration_health_private.jobs() AS k ORDER BY k.number LOOP
    job_name := job.job_name;
    schedule := schedules[job.number];
    command := job.command;
    EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job_id USING job_name, schedule, command;
    RETURN NEXT;
  END LOOP;

  SELECT h.job_name, h.last_message INTO failed FROM integration_health_private.health_jobs() AS h
   WHERE h.last_status = 'failed' LIMIT 1;
  IF FOUND THEN
    RAISE WARNING USING ERRCODE = '55000', MESSAGE = pg_catalog.format('the last run of job %s failed', failed.job_name),
      DETAIL = COALESCE(failed.last_message, ''),
      HINT = 'Where pg_cron cannot connect, set cron.use_background_workers = on, or let it in by pg_hba.conf or a '
             'password file. get_health_jobs() shows later runs.';
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.schedule_integration_health_jobs(text, text, text, text, text) IS
  'Registers the pg_cron jobs of the extension, or changes their schedules (crontab syntax), for the caller, who must '
  'be a role that can log in and is a member of the writer or the owner. Returns the jobs. A superuser takes over the '
  'jobs of another role. warm_up_schedule null: every 30 seconds if pg_cron knows seconds (1.5), otherwise every '
  'minute. Warns when the last run of one of them failed. Errors: 0A000 when pg_cron is not in this database, 22023 '
  'when another schedule is null, 55000 when another role has scheduled them; pg_cron''s own errors for a schedule '
  'that it cannot read.';

CREATE FUNCTION @extschema@.unschedule_integration_health_jobs()
RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  removed integer := 0;
BEGIN
  IF integration_health_private.has_cron() THEN
    EXECUTE 'SELECT pg_catalog.count(cron.unschedule(j.jobid)) FROM cron.job AS j
               JOIN integration_health_private.jobs() AS k ON k.job_name = j.jobname
              WHERE j.database = pg_catalog.current_database()
                AND (j.username = current_user
                     OR (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user))' INTO removed;
  END IF;
  RETURN removed;
END
$$;
COMMENT ON FUNCTION @extschema@.unschedule_integration_health_jobs() IS
  'Removes the pg_cron jobs of the extension that the caller has scheduled, or those of all roles if it is a '
  'superuser, and returns how many there were: 0 when pg_cron is not in this database.';

-- Deletion of an organisation
CREATE FUNCTION integration_health_private.forget_rows(org_id uuid)
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT integration_health_private.require_own_triggers(VARIADIC ARRAY[
    '@extschema@.integration_health_status'::regclass, '@extschema@.integration_monitors'::regclass,
    '@extschema@.integration_sync_schedules'::regclass, '@extschema@.integration_sync_runs'::regclass,
    '@extschema@.integration_alerts'::regclass]);
  WITH locked AS MATERIALIZED (
    SELECT s.integration_type FROM @extschema@.integration_health_status s
     WHERE s.org_id = forget_rows.org_id ORDER BY s.integration_type FOR UPDATE
  ), status AS (
    DELETE FROM @extschema@.integration_health_status s USING locked l
     WHERE s.org_id = forget_rows.org_id AND s.integration_type = l.integration_type RETURNING 1
  ), monitors AS (
    DELETE FROM @extschema@.integration_monitors m WHERE m.org_id = forget_rows.org_id RETURNING 1
  ), schedules AS (
    DELETE FROM @extschema@.integration_sync_schedules s WHERE s.org_id = forget_rows.org_id RETURNING 1
  ), runs AS (
    DELETE FROM @extschema@.integration_sync_runs r WHERE r.org_id = forget_rows.org_id RETURNING 1
  ), alerts AS (
    DELETE FROM @extschema@.integration_alerts a WHERE a.org_id = forget_rows.org_id
  )
  SELECT (SELECT pg_catalog.count(*) FROM status) + (SELECT pg_catalog.count(*) FROM monitors)
         + (SELECT pg_catalog.count(*) FROM schedules) + (SELECT pg_catalog.count(*) FROM runs);
END;
COMMENT ON FUNCTION integration_health_private.forget_rows(uuid) IS
  'Deletes what is stored about the pairs of an organisation, and returns what forget_organisation does. Errors: 55000 as '
  'require_own_triggers.';

CREATE FUNCTION @extschema@.forget_organisation(org_id uuid)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF forget_organisation.org_id IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'org_id must not be null',
      HINT = 'Pass the organisation to forget.';
  END IF;
  PERFORM integration_health_private.guard('integration_maintenance');
  DELETE FROM integration_health_private.maintenance AS m WHERE m.org_id = forget_organisation.org_id;
  RETURN integration_health_private.forget_rows(forget_organisation.org_id);
END
$$;
COMMENT ON FUNCTION @extschema@.forget_organisation(uuid) IS
  'Deletes all that is stored about an organisation: status, history and what follows from them, monitors, schedules and '
  'the ledger of its syncs, maintenance and alerts. Returns the number of status rows, monitors, schedules and runs '
  'deleted. Checks that are recorded later '
  'start anew. Errors: 22023 when org_id is null, 55000 when somebody else has a trigger or rule on the tables.';

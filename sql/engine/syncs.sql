-- The PL/pgSQL engine: periods of schedules, and the ledger of their runs. As in the C edition, times end 73,069 years
-- after 2000, so that the sum of any two of them cannot overflow.

-- @before integration_sync_every_is_valid
CREATE TABLE integration_health_private.time_zones (
  name text COLLATE pg_catalog."C" PRIMARY KEY
);
COMMENT ON TABLE integration_health_private.time_zones IS
  'The names in pg_timezone_names, kept for reports on many schedules because that view takes a tenth of a second to '
  'read.';
COMMENT ON COLUMN integration_health_private.time_zones.name IS 'Name of a time zone.';
ALTER TABLE integration_health_private.time_zones ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION integration_health_private.refresh_time_zones()
RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  DELETE FROM integration_health_private.time_zones z
   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_timezone_names n WHERE n.name = z.name);
  INSERT INTO integration_health_private.time_zones (name)
  SELECT n.name FROM pg_catalog.pg_timezone_names n ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION integration_health_private.refresh_time_zones() IS
  'Reads the names of the time zones again. For the owner, after an update of the server''s time zones that has '
  'removed one.';
SELECT integration_health_private.refresh_time_zones();

CREATE FUNCTION integration_health_private.instant(at timestamptz)
RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN at = 'infinity' THEN 2305843009213693951
              WHEN at = '-infinity' THEN -2305843009213693951
              ELSE LEAST((extract(epoch FROM at) - 946684800) * 1000000, 2305843009213693951)::bigint END;
END;
COMMENT ON FUNCTION integration_health_private.instant(timestamptz) IS
  'Returns a time in microseconds since 2000-01-01 00:00 UTC; for one that is too far away, the farthest that counts '
  'as a time.';

CREATE FUNCTION integration_health_private.time_of(instant bigint)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  -- Days and seconds separately, because a floating-point number holds the microseconds of only 285 years.
  SELECT pg_catalog.timezone('UTC', timestamp '2000-01-01'
           + pg_catalog.make_interval(days => (instant / 86400000000)::integer,
                                      secs => (instant % 86400000000)::float8 / 1000000));
END;
COMMENT ON FUNCTION integration_health_private.time_of(bigint) IS
  'Returns the time at an instant: the inverse of instant().';

-- @integration_sync_every_is_valid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN e.months < 0 OR e.days < 0 OR e.micros < 0 THEN false
              WHEN e.months = 0 AND e.days = 0 THEN e.micros BETWEEN 60000000 AND 3660 * 86400000000
              ELSE e.micros = 0 AND e.months <= 120 AND e.days <= 3660 END
    FROM (SELECT extract(year FROM every) * 12 + extract(month FROM every) AS months,
                 extract(day FROM every) AS days,
                 extract(hour FROM every) * 3600000000 + extract(minute FROM every) * 60000000
                   + extract(microseconds FROM every) AS micros) AS e;
END;

-- @integration_sync_time_zone_is_valid
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = time_zone)
         OR EXISTS (SELECT FROM pg_timezone_names AS n WHERE n.name = time_zone);
END
$$;

-- @before usable_time_zone
CREATE FUNCTION integration_health_private.keep_time_zone()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO integration_health_private.time_zones (name)
  SELECT n.name FROM pg_timezone_names AS n
   WHERE n.name = NEW.time_zone
     AND NOT EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = NEW.time_zone)
      ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION integration_health_private.keep_time_zone() IS
  'Trigger function of integration_sync_schedules, after a time zone is set: stores its name, for reports on many '
  'schedules.';
CREATE TRIGGER zz_integration_sync_schedules_zone
  AFTER INSERT OR UPDATE OF time_zone ON @extschema@.integration_sync_schedules
  FOR EACH ROW EXECUTE FUNCTION integration_health_private.keep_time_zone();
COMMENT ON TRIGGER zz_integration_sync_schedules_zone ON @extschema@.integration_sync_schedules IS
  'Stores the name of the time zone.';

-- @usable_time_zone
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF @extschema@.integration_sync_every_is_valid(every) AND isfinite(anchor)
     AND EXISTS (SELECT FROM integration_health_private.time_zones AS z WHERE z.name = time_zone) THEN
    RETURN time_zone;
  END IF;
  RAISE WARNING USING
    MESSAGE = format('the schedule of organisation %s and type "%s" has no periods',
                     COALESCE(org_id::text, 'null'), COALESCE(integration_health_private.echo(integration_type), '')),
    DETAIL = format('It is left out because its interval, anchor or time zone "%s" is not valid.',
                    COALESCE(integration_health_private.echo(time_zone), '')),
    HINT = 'Correct it with set_sync_schedule.';
  RETURN NULL;
END
$$;

-- @before integration_sync_periods
CREATE FUNCTION integration_health_private.zone_offset(zone text, at timestamp)
RETURNS interval
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT pg_catalog.timezone(zone, pg_catalog.timezone('UTC', at)) - at;
END;
COMMENT ON FUNCTION integration_health_private.zone_offset(text, timestamp) IS
  'Returns how far the clocks of a time zone are ahead of UTC at a time in UTC.';

CREATE FUNCTION integration_health_private.period_at(every interval, anchor timestamptz, zone text, n bigint)
RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  farthest constant numeric := 2305843009213693951;
  months integer := extract(year FROM every) * 12 + extract(month FROM every);
  days integer := extract(day FROM every);
  distance numeric;
  local timestamp;
  before interval;
  after interval;
BEGIN
  IF months = 0 AND days = 0 THEN
    distance := n * integration_health_private.micros(every)::numeric;
  ELSE
    distance := n::numeric * (months * 2629746000000 + days * 86400000000);
  END IF;
  IF n < 0 OR distance > farthest OR integration_health_private.instant(anchor) > farthest - distance THEN
    RETURN NULL;
  ELSIF n = 0 THEN
    RETURN anchor;
  ELSIF months = 0 AND days = 0 THEN
    RETURN integration_health_private.time_of(integration_health_private.instant(anchor) + distance::bigint);
  END IF;

  -- Where the clocks are put back and show local twice, the first of the two times counts. Where they are put forward
  -- and skip local, the time is later by as much as they are put forward.
  local := timezone(zone, anchor) + make_interval(months => (n * months)::integer, days => (n * days)::integer);
  before := integration_health_private.zone_offset(zone, local - interval '1 day');
  after := integration_health_private.zone_offset(zone, local + interval '1 day');
  IF integration_health_private.zone_offset(zone, local - before) = before
     OR integration_health_private.zone_offset(zone, local - after) <> after THEN
    RETURN timezone('UTC', local - before);
  END IF;
  RETURN timezone('UTC', local - after);
END
$$;
COMMENT ON FUNCTION integration_health_private.period_at(interval, timestamptz, text, bigint) IS
  'Returns period number n, 0 or more, of a valid schedule; null when it is too far away. Period 0 is the anchor; a '
  'later period is never before an earlier one.';

CREATE FUNCTION integration_health_private.last_period_no(
  every interval, anchor timestamptz, zone text, at timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  months integer := extract(year FROM every) * 12 + extract(month FROM every);
  days integer := extract(day FROM every);
  passed bigint := integration_health_private.instant(at) - integration_health_private.instant(anchor);
  latest timestamptz;
  n bigint;
BEGIN
  IF passed < 0 OR integration_health_private.period_at(every, anchor, zone, 0) IS NULL THEN
    RETURN -1;
  ELSIF months = 0 AND days = 0 THEN
    RETURN passed / integration_health_private.micros(every);
  END IF;
  latest := integration_health_private.time_of(integration_health_private.instant(at));
  -- Uses the average length of a month, so it is off by a few periods at most.
  n := passed / (months * 2629746000000 + days * 86400000000);
  WHILE n > 0 AND COALESCE(integration_health_private.period_at(every, anchor, zone, n) > latest, true) LOOP
    n := n - 1;
  END LOOP;
  WHILE integration_health_private.period_at(every, anchor, zone, n + 1) <= latest LOOP
    n := n + 1;
  END LOOP;
  RETURN n;
END
$$;
COMMENT ON FUNCTION integration_health_private.last_period_no(interval, timestamptz, text, timestamptz) IS
  'Returns the number of the last period of a valid schedule that is not after at; -1 when there is none.';

CREATE FUNCTION integration_health_private.require_plan(every interval, anchor timestamptz, time_zone text)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT @extschema@.integration_sync_every_is_valid(every) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'invalid interval for a schedule',
      HINT = 'Use days and months, or a time of at least one minute, but not both.';
  ELSIF NOT isfinite(anchor) THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the anchor of a schedule must be finite';
  ELSIF NOT @extschema@.integration_sync_time_zone_is_valid(time_zone) THEN
    RAISE EXCEPTION USING ERRCODE = '22023',
      MESSAGE = format('unknown time zone "%s"', integration_health_private.echo(time_zone)),
      HINT = 'Use a name from pg_timezone_names, spelled as it is there.';
  END IF;
END
$$;
COMMENT ON FUNCTION integration_health_private.require_plan(interval, timestamptz, text) IS
  'Checks the interval, anchor and time zone of a schedule. Errors: 22023 when one of them is not valid.';

-- @integration_sync_periods
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n bigint;
  period timestamptz;
  last timestamptz := '-infinity';
  found_so_far integer := 0;
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  n := integration_health_private.last_period_no(every, anchor, time_zone, since - interval '1 microsecond') + 1;
  LOOP
    period := integration_health_private.period_at(every, anchor, time_zone, n);
    EXIT WHEN period IS NULL OR period > until;
    -- Two periods fall on the same time where a zone has skipped a day.
    IF period <> last THEN
      IF found_so_far >= 100000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'there are more than 100000 periods',
          HINT = 'Ask for a shorter time range.';
      END IF;
      found_so_far := found_so_far + 1;
      last := period;
      RETURN NEXT period;
    END IF;
    n := n + 1;
  END LOOP;
END
$$;

-- @integration_sync_last_period
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  RETURN integration_health_private.period_at(
    every, anchor, time_zone, integration_health_private.last_period_no(every, anchor, time_zone, at));
END
$$;

-- @integration_sync_next_period
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM integration_health_private.require_plan(every, anchor, time_zone);
  RETURN integration_health_private.period_at(
    every, anchor, time_zone, integration_health_private.last_period_no(every, anchor, time_zone, after) + 1);
END
$$;

-- @integration_sync_is_late
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN drift > integration_health_private.max_drift();
END
$$;

-- @latest_schedule
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedule @extschema@.integration_sync_schedules;
BEGIN
  SELECT s.* INTO schedule FROM @extschema@.integration_sync_schedules AS s
   WHERE s.org_id = latest_schedule.org_id AND s.integration_type = latest_schedule.integration_type;
  RETURN schedule;
END
$$;

-- @lock_schedule
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schedule @extschema@.integration_sync_schedules;
BEGIN
  SELECT s.* INTO schedule FROM @extschema@.integration_sync_schedules AS s
   WHERE s.org_id = lock_schedule.org_id AND s.integration_type = lock_schedule.integration_type
     FOR NO KEY UPDATE;
  RETURN schedule;
END
$$;

-- @store_schedule
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored @extschema@.integration_sync_schedules;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_sync_schedules'::regclass]);
  UPDATE @extschema@.integration_sync_schedules AS s SET due_at = schedule.due_at
   WHERE s.org_id = schedule.org_id AND s.integration_type = schedule.integration_type
  RETURNING s.* INTO stored;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_schedules');
  END IF;
  RETURN stored;
END
$$;

-- @insert_run
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored @extschema@.integration_sync_runs;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_sync_runs'::regclass]);
  INSERT INTO @extschema@.integration_sync_runs AS r
         (org_id, integration_type, scheduled_for, attempt, outcome, started_at, lease_until, cold_start)
  VALUES (org_id, integration_type, scheduled_for, 1, 'running', started_at, lease_until, cold_start)
  ON CONFLICT ON CONSTRAINT integration_sync_runs_pkey DO NOTHING
  RETURNING r.* INTO stored;
  RETURN stored;
END
$$;

-- @lock_run
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  run @extschema@.integration_sync_runs;
BEGIN
  SELECT r.* INTO run FROM @extschema@.integration_sync_runs AS r
   WHERE r.org_id = lock_run.org_id AND r.integration_type = lock_run.integration_type
     AND r.scheduled_for = lock_run.scheduled_for
     FOR NO KEY UPDATE;
  RETURN run;
END
$$;

-- @store_run
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stored @extschema@.integration_sync_runs;
BEGIN
  PERFORM integration_health_private.require_own_triggers(VARIADIC ARRAY['@extschema@.integration_sync_runs'::regclass]);
  UPDATE @extschema@.integration_sync_runs AS r
     SET attempt = run.attempt, outcome = run.outcome, started_at = run.started_at, finished_at = run.finished_at,
         lease_until = run.lease_until, cold_start = run.cold_start, error = run.error
   WHERE r.org_id = run.org_id AND r.integration_type = run.integration_type AND r.scheduled_for = run.scheduled_for
  RETURNING r.* INTO stored;
  IF NOT FOUND THEN
    PERFORM integration_health_private.refuse_intrusion('integration_sync_runs');
  END IF;
  RETURN stored;
END
$$;
